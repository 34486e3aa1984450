"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const flame = document.getElementById("flame"), tree = document.getElementById("tree");
const detail = document.getElementById("detail"), search = document.getElementById("search");
const calls = [];
let chosen = null, hits = [], found = new Set();

function time(ns) { return ns >= 1e6 ? (ns / 1e6).toFixed(2) + " ms" : (ns / 1e3).toFixed(1) + " µs"; }
const hues = new Map([["your application", 42], ["template", 28], ["kernel", 0]]);
function hue(room) {
  if (!hues.has(room)) hues.set(room, (150 + hues.size * 137.5) % 360);
  return hues.get(room);
}
function make(kind, parent, text, name) {
  const e = document.createElement(kind);
  if (text) e.textContent = text;
  if (name) e.className = name;
  if (parent) parent.append(e);
  return e;
}
function collect(call, track) {
  const parent = call.parent = track.calls[call.above] || null;
  call.children = [];
  call.level = parent ? parent.level + 1 : 0;
  call.open = call.level < 2;
  if (parent) parent.children.push(call);
  calls.push(call);
}
const end = data.tracks.flatMap(t => t.calls).reduce((last, c) => Math.max(last, c.began + c.time), 1);
function threadOf(track) {
  const waited = track.waited ? `, of which it waited ${time(track.waited)}` : "";
  return `Thread ${track.name} · ${time(track.time)}${waited}`;
}
let base = 0;  // the first row of a thread in the chart
for (const track of data.tracks) {
  const before = calls.length;
  for (const call of track.calls) collect(call, track);
  for (const call of calls.slice(before)) call.depth = base + call.level;
  if (calls[before]) calls[before].heading = track === data.tracks[0] ? "" : threadOf(track);
  for (const call of calls.slice(before)) base = Math.max(base, call.depth + 2);
}
function chart(from, to) {
  flame.replaceChildren();
  flame.classList.toggle("zoomed", to - from < end);
  for (const call of calls) {
    call.bar = null;
    const left = Math.max(call.began, from), right = Math.min(call.began + call.time, to);
    if ((right - left) / (to - from) < 0.0006) continue;
    const bar = call.bar = make("button", flame, call.name);
    bar.tabIndex = -1;
    bar.title = `${call.room} · ${call.name} · ${time(call.time)}`;
    bar.style.cssText = `--hue:${hue(call.room)};left:${100 * (left - from) / (to - from)}%;` +
      `width:calc(${100 * (right - left) / (to - from)}% - 1px);top:${6 + call.depth * 18}px`;
    bar.onclick = () => choose(call, true);
    bar.ondblclick = () => zoom(call);
    bar.classList.toggle("chosen", call === chosen);
    bar.classList.toggle("found", found.has(call));
  }
}
function zoom(call) { chart(call.began, call.began + Math.max(call.time, 1)); }
// Iteration ends with an exception, and so does a look at a socket that has nothing.
function usual(call) {
  return /^(StopIteration|StopAsyncIteration|GeneratorExit|BlockingIOError)\b/.test(call.result);
}
let rows = 0;
function rowOf(call) {  // made when the call is shown for the first time
  const row = call.row = make("div", null, "", "row");
  row.id = "call-" + rows++;
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-level", call.level + 1);
  row.style.cssText = `--level:${call.level};--hue:${hue(call.room)}`;
  call.mark = make("i", row);
  make("span", row, call.room, "room");
  make("span", row, call.name, "name");
  const note = [call.step ? `[${call.step}]` : "", call.role].filter(Boolean).join(" ");
  if (note) make("em", row, note);
  if (call.raised) make("em", row, "raised " + (call.result || "an exception"), usual(call) ? "" : "raised");
  make("time", row, time(call.time));
  row.classList.toggle("found", found.has(call));
  row.onclick = () => { if (chosen === call) call.open = !call.open; choose(call); };
  return row;
}
function draw() {
  const shown = document.createDocumentFragment();
  for (const call of calls) {
    const p = call.parent;
    call.shown = !p || (p.shown && p.open);
    if (!call.shown) continue;
    if (call.heading) shown.append(call.title ??= make("h2", null, call.heading));
    shown.append(call.row || rowOf(call));
    call.mark.textContent = call.children.length ? (call.open ? "▾" : "▸") : "";
    if (call.children.length) call.row.setAttribute("aria-expanded", call.open);
  }
  tree.replaceChildren(shown);
}
function choose(call, scroll) {
  for (let p = call.parent; p; p = p.parent) p.open = true;
  draw();
  if (chosen) {
    chosen.row?.classList.remove("chosen"); chosen.row?.removeAttribute("aria-selected");
    chosen.bar?.classList.remove("chosen");
  }
  chosen = call; call.row.classList.add("chosen"); call.bar?.classList.add("chosen");
  call.row.setAttribute("aria-selected", true);
  tree.setAttribute("aria-activedescendant", call.row.id);
  call.bar?.scrollIntoView({ block: "nearest" });
  call.row.scrollIntoView({ block: scroll ? "center" : "nearest" });
  detail.replaceChildren();
  make("h3", detail, call.name);
  const about = make("p", detail, call.room + " · "), source = data.sources[call.source];
  // A page from a server may not link to files.
  if (source?.link && (source.link.startsWith("https:") || location.protocol === "file:")) {
    make("a", about, call.where).href = source.link;
  } else about.append(call.where);
  about.append((call.where ? " · " : "") + [time(call.time), call.role].filter(Boolean).join(" · "));
  if (source?.edit) { about.append(" · "); make("a", about, "open in editor").href = source.edit; }
  const list = make("dl", detail);
  for (const [name, value] of call.args) { make("dt", list, name); make("dd", list, value); }
  if (call.raised || call.result) {
    make("dt", list, "→"); make("dd", list, call.raised ? "raised " + (call.result || "an exception") : call.result);
  }
  if (source?.note) make("p", detail, source.note, "note");
  if (source?.text) {
    const pre = make("pre", detail);
    source.text.replace(/\n$/, "").split("\n").forEach((line, n) => {
      const row = make("code", pre, "", source.first + n === call.line ? "last" : "");
      if (row.className) row.title = call.raised ? "The exception left the function here" : "The function ended here";
      make("span", row, String(source.first + n), "number");
      let at = 0;
      for (const [start, stop, kind] of source.parts[n] || []) {
        row.append(line.slice(at, start));
        make("b", row, line.slice(start, stop), kind);
        at = stop;
      }
      row.append(line.slice(at) + "\n");
    });
  }
}
data.steps.forEach(step => {
  const button = make("button", make("li", document.getElementById("steps")));
  make("b", button, String(step.number)); make("span", button, step.title);
  make("time", button, time(step.time));
  button.onclick = () => choose(calls.find(c => c.step === step.number), true);
});
if (data.rule.length) {
  const rule = document.getElementById("rule");
  rule.hidden = false;
  rule.querySelector("pre").textContent = data.rule.slice(1).join("\n");
}
search.oninput = () => {
  const word = search.value.trim().toLowerCase();
  hits = [];
  for (const call of calls) {
    const raised = call.raised ? "raised " + call.result : "";
    const text = `${call.room} ${call.name} ${call.where} ${call.role} ${raised}`.toLowerCase();
    if (word && text.includes(word)) hits.push(call);
  }
  found = new Set(hits);
  for (const call of calls) {
    call.row?.classList.toggle("found", found.has(call));
    call.bar?.classList.toggle("found", found.has(call));
  }
  if (hits.length) choose(hits[0], true);
  count(word);
};
function count(word) {
  const at = hits.indexOf(chosen) + 1;
  document.getElementById("hits").textContent =
    hits.length ? `${at} of ${hits.length}` : word ? "no matches" : "";
}
search.onkeydown = event => {
  if (event.key !== "Enter" || !hits.length) return;
  const step = event.shiftKey ? hits.length - 1 : 1;
  choose(hits[(hits.indexOf(chosen) + step) % hits.length], true);
  count(search.value);
};
for (const [room, own] of data.shares) {
  const chip = make("button", document.getElementById("rooms"), room);
  chip.style.cssText = `--hue:${hue(room)}`;
  chip.title = "Search these calls";
  make("time", chip, time(own));
  chip.onclick = () => { search.value = room; search.oninput(); };
}
const overflow = document.getElementById("overflow");
overflow.textContent = data.notice || "";
overflow.hidden = !data.notice;
tree.onkeydown = event => {
  const shown = calls.filter(c => c.shown), at = shown.indexOf(chosen);
  const go = c => { if (c) choose(c); };
  if (event.key === "ArrowDown") go(shown[at + 1]);
  else if (event.key === "ArrowUp") go(shown[at - 1]);
  else if (event.key === "ArrowRight" && chosen) { chosen.open ? go(chosen.children[0]) : (chosen.open = true, draw()); }
  else if (event.key === "ArrowLeft" && chosen) { chosen.open && chosen.children.length ? (chosen.open = false, draw()) : go(chosen.parent); }
  else if (event.key === "Home") go(shown[0]);
  else if (event.key === "End") go(shown[shown.length - 1]);
  else if (event.key === "Enter" && chosen) zoom(chosen);
  else return;
  event.preventDefault();
};
document.onkeydown = event => {
  if (event.key === "/" && event.target !== search) { search.focus(); event.preventDefault(); }
  if (event.key === "Escape") chart(0, end);
};
flame.style.setProperty("--rows", calls.reduce((deepest, c) => Math.max(deepest, c.depth), 0) + 1);
chart(0, end);
draw();
