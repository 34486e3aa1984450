"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const flame = document.getElementById("flame"), tree = document.getElementById("tree");
const detail = document.getElementById("detail"), search = document.getElementById("search");
const calls = [];
let chosen = null;

function time(ns) { return ns >= 1e6 ? (ns / 1e6).toFixed(2) + " ms" : (ns / 1e3).toFixed(1) + " µs"; }
function hue(room) { let h = 7; for (const c of room) h = (h * 31 + c.charCodeAt(0)) % 360; return h; }
function make(kind, parent, text, name) {
  const e = document.createElement(kind);
  if (text) e.textContent = text;
  if (name) e.className = name;
  if (parent) parent.append(e);
  return e;
}
function collect(call, parent, level) {
  call.parent = parent; call.level = level; call.open = level < 2; calls.push(call);
  for (const each of call.children) collect(each, call, level + 1);
}
for (const track of data.tracks) for (const call of track.calls) collect(call, null, 0);
const end = Math.max(1, ...calls.map(c => c.began + c.time));

for (const call of calls) {
  if (call.time / end < 0.0006) continue;
  const bar = call.bar = make("button", flame, call.name);
  bar.tabIndex = -1;
  bar.title = `${call.room} · ${call.name} · ${time(call.time)}`;
  bar.style.cssText = `--hue:${hue(call.room)};left:${100 * call.began / end}%;` +
    `width:calc(${100 * call.time / end}% - 1px);top:${6 + call.level * 18}px`;
  bar.onclick = () => choose(call, true);
}
for (const call of calls) {
  const row = call.row = make("div", tree, "", "row");
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-level", call.level + 1);
  row.style.cssText = `--level:${call.level};--hue:${hue(call.room)}`;
  call.mark = make("i", row);
  make("span", row, call.room, "room");
  make("span", row, call.name);
  const note = (call.step ? `[${call.step}] ` : "") + call.role;
  if (note) make("em", row, note);
  make("time", row, time(call.time));
  row.onclick = () => { if (chosen === call) call.open = !call.open; choose(call); };
}
function draw() {
  for (const call of calls) {
    const p = call.parent;
    call.shown = !p || (p.shown && p.open);
    call.row.hidden = !call.shown;
    call.row.style.display = call.shown ? "" : "none";
    call.mark.textContent = call.children.length ? (call.open ? "▾" : "▸") : "";
    if (call.children.length) call.row.setAttribute("aria-expanded", call.open);
  }
}
function choose(call, scroll) {
  for (let p = call.parent; p; p = p.parent) p.open = true;
  if (chosen) { chosen.row.classList.remove("chosen"); chosen.bar?.classList.remove("chosen"); }
  chosen = call; call.row.classList.add("chosen"); call.bar?.classList.add("chosen");
  draw();
  call.row.scrollIntoView({ block: scroll ? "center" : "nearest" });
  detail.replaceChildren();
  make("h3", detail, call.name);
  const source = data.sources[call.where];
  make("p", detail, [call.room, call.where, time(call.time), call.role].filter(Boolean).join(" · "));
  const links = [["open in editor", source?.edit], ["in its repository", source?.link]].filter(([, to]) => to);
  if (links.length) {
    const line = make("p", detail);
    for (const [text, to] of links) { make("a", line, text).href = to; line.append(" "); }
  }
  const list = make("dl", detail);
  for (const [name, value] of call.args) { make("dt", list, name); make("dd", list, value); }
  if (call.raised || call.result) {
    make("dt", list, "→"); make("dd", list, call.raised ? "raised an exception" : call.result);
  }
  if (source) {
    const pre = make("pre", detail);
    source.text.replace(/\n$/, "").split("\n").forEach((line, n) => {
      make("span", pre, String(source.first + n), "number");
      let at = 0;
      for (const [start, stop, kind] of source.parts[n] || []) {
        pre.append(line.slice(at, start));
        make("b", pre, line.slice(start, stop), kind);
        at = stop;
      }
      pre.append(line.slice(at) + "\n");
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
  let first = null;
  for (const call of calls) {
    const hit = word && `${call.room} ${call.name} ${call.where} ${call.role}`.toLowerCase().includes(word);
    call.bar?.classList.toggle("found", !!hit);
    if (hit && !first) first = call;
  }
  if (first) choose(first, true);
};
tree.onkeydown = event => {
  const shown = calls.filter(c => c.shown), at = shown.indexOf(chosen);
  const go = c => { if (c) choose(c); };
  if (event.key === "ArrowDown") go(shown[at + 1]);
  else if (event.key === "ArrowUp") go(shown[at - 1]);
  else if (event.key === "ArrowRight" && chosen) { chosen.open ? go(chosen.children[0]) : (chosen.open = true, draw()); }
  else if (event.key === "ArrowLeft" && chosen) { chosen.open && chosen.children.length ? (chosen.open = false, draw()) : go(chosen.parent); }
  else return;
  event.preventDefault();
};
document.onkeydown = event => {
  if (event.key === "/" && event.target !== search) { search.focus(); event.preventDefault(); }
};
flame.style.height = Math.min(innerHeight * .34, 14 + 18 * (1 + Math.max(0, ...calls.map(c => c.level)))) + "px";
draw();
