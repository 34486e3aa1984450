"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const steps = data.steps, breakpoints = new Set();
const PER_ROW = matchMedia("(max-width: 700px)").matches ? 8 : 16, PAUSE = 700;  // ms between two steps
const NAMES = { "\r": "CR", "\n": "LF", "\t": "HT" };
let at = 0, timer = 0, chosen = "";

function make(kind, parent, text, name) {
  const e = document.createElement(kind);
  if (text !== undefined) e.textContent = text;
  if (name) e.className = name;
  if (parent) parent.append(e);
  return e;
}
function visible(char) {
  const code = char.charCodeAt(0);
  if (char in NAMES) return NAMES[char];
  return code < 32 || code > 126 ? "·" : char;
}
const hue = number => (45 + number * 97) % 360;
// The bytes of each part of a step are in the colour of the part, in both columns.
function cell(parent, step, from, to, text, between) {
  for (let i = from; i < to; i++) {
    const part = step.parts.findIndex(p => p[2] <= step.first + i && step.first + i < p[3]);
    const char = step.text[i], shown = text(char);
    const kind = part >= 0 ? "b" : /[\r\n\t]/.test(char) ? "i" : "span";
    const e = make(kind, parent, shown, kind === "i" && !between ? "control" : "");
    if (part >= 0) e.style.setProperty("--hue", hue(part));
    if (between && i + 1 < to) parent.append(" ");
  }
}
function rows(step, coloured) {
  const box = step.box;
  box.replaceChildren();
  if (step.first === step.last) return make("div", box, step.title, "empty");
  for (let i = 0; i < step.text.length; i += PER_ROW) {
    const end = Math.min(i + PER_ROW, step.text.length), row = make("div", box, "", "row");
    make("span", row, (step.first + i).toString(16).padStart(4, "0"), "at");
    const hex = make("span", row, "", "hex"), text = make("span", row, "", "text");
    const code = c => c.charCodeAt(0).toString(16).padStart(2, "0");
    if (coloured) { cell(hex, step, i, end, code, true); cell(text, step, i, end, visible, false); }
    else {
      hex.textContent = [...step.text.slice(i, end)].map(code).join(" ");
      for (const char of step.text.slice(i, end)) text.append(/[\r\n\t]/.test(char) ? make("i", null, visible(char), "control") : visible(char));
    }
  }
  const more = step.last - step.first - step.text.length;
  if (more) make("div", box, `… and ${more.toLocaleString("en")} more bytes`, "empty");
}
let direction = "";
steps.forEach((step, number) => {
  if (step.direction !== direction) {
    direction = step.direction;
    make("h3", $("bytes"), direction === "request" ? "From the client →" : "← To the client");
  }
  step.box = make("div", $("bytes"), "", "step " + step.kind);
  step.box.title = step.title;
  step.box.onclick = () => { pause(); go(number); };
  rows(step, false);
});
function states(half) {
  make("span", $(half), half === "reading" ? "Request" : "Response");
  for (const [name, meaning] of Object.entries(data[half])) {
    const button = make("button", $(half), name);
    button.title = (half === "reading" ? "Next byte: " : "Response: ") + meaning + ". Click for a breakpoint.";
    button.dataset.state = half + name;
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      const key = half + name;
      if (!breakpoints.delete(key)) breakpoints.add(key);
      button.classList.toggle("stop", breakpoints.has(key));
      button.setAttribute("aria-pressed", breakpoints.has(key));
    };
  }
}
states("reading"); states("writing");
$("slider").max = Math.max(0, steps.length - 1);
$("note").textContent = data.note;
$("note").hidden = !data.note;

function code(step) {
  const source = data.sources[chosen];
  $("functions").replaceChildren(); $("code").replaceChildren();
  $("code").hidden = !source;
  if (!source) return;
  for (const key of Object.keys(step.ran)) {
    const e = make("button", $("functions"), data.sources[key].name, key === chosen ? "chosen" : "");
    e.title = key;
    e.onclick = () => { chosen = key; code(step); };
  }
  const link = source.edit || source.link;
  const where = make("a", $("functions"), `${source.short}:${focusOf(step) || source.first}`);
  if (link) where.href = link;
  const ran = new Set(step.ran[chosen]), focus = focusOf(step);
  let wanted = null;
  source.text.replace(/\n$/, "").split("\n").forEach((line, index) => {
    const number = source.first + index;
    const e = make("code", $("code"), "", number === focus ? "focus" : ran.has(number) ? "ran" : "");
    make("span", e, number);
    let seen = 0;
    for (const [from, to, kind] of source.parts[index] || []) {
      e.append(line.slice(seen, from)); make("b", e, line.slice(from, to), kind); seen = to;
    }
    e.append(line.slice(seen) + "\n");
    if (number === focus) wanted = e;
  });
  if (wanted) $("code").scrollTop = wanted.offsetTop - $("code").offsetTop - 90;
}
function focusOf(step) { return (step.stack.find(([key]) => key === chosen) || [])[1]; }
function message() {
  $("message").replaceChildren();
  const half = steps[at].direction;
  // The message begins at its first line, and everything of the same direction belongs to it.
  let first = at;
  while (first > 0 && !/^(Request|Status) line$/.test(steps[first].title)) first--;
  for (let i = first; i <= at; i++) {
    const step = steps[i];
    if (step.direction !== half) continue;
    const row = make("tr", $("message"), "", i === at ? "now" : "");
    row.onclick = () => { pause(); go(i); };
    const values = step.parts.map(p => step.kind === "end" ? `${p[0]}=${p[1]}` : p[1]);
    const size = step.last - step.first;
    if (step.kind === "field") { make("td", row, values[0] || step.title); make("td", row, values[1]); }
    else { make("td", row, step.title.replace(/:.*/, "")); make("td", row, values.join(" ") || (step.kind === "body" ? `${size.toLocaleString("en")} bytes` : "")); }
  }
}
function go(number) {
  at = Math.max(0, Math.min(steps.length - 1, number));
  const step = steps[at];
  if (!step) return;
  steps.forEach((each, index) => {
    each.box.classList.toggle("past", index < at);
    if (each.box.classList.contains("now")) { each.box.classList.remove("now"); rows(each, false); }
  });
  step.box.classList.add("now");
  rows(step, true);
  step.box.scrollIntoView({ block: "nearest" });
  $("slider").value = at;
  $("count").textContent = `${at + 1} of ${steps.length}`;
  document.body.classList.toggle("refused-now", step.kind === "refused");
  $("title").textContent = step.title;
  const size = step.last - step.first;
  $("where").textContent = !size ? "No byte is consumed in this step." : `${size} byte${size > 1 ? "s" : ""} ` +
    (step.direction === "request" ? "from" : "to") + ` the client, at offset ${step.first}`;
  for (const [half, index] of [["reading", 0], ["writing", 1]])
    for (const button of $(half).querySelectorAll("button")) {
      const name = button.textContent;
      button.classList.toggle("now", name === step.after[index]);
      button.classList.toggle("bad", name === "ERROR");
      button.classList.toggle("was", name === step.before[index] && name !== step.after[index]);
    }
  const changed = [0, 1].filter(i => step.before[i] !== step.after[i]).map(i => `${step.before[i]} → ${step.after[i]}`);
  const meaning = `Next byte from the client: ${data.reading[step.after[0]]}. Response: ${data.writing[step.after[1]]}.`;
  $("meaning").textContent = (changed.length ? changed.join(", ") + ". " : "") + meaning;
  $("parts").replaceChildren();
  step.parts.forEach(([name, text, first, last], index) => {
    const row = make("tr", $("parts")), to = make("td", row, name) && make("td", row);
    const e = make(last > first ? "b" : "span", to, text);
    e.style.setProperty("--hue", hue(index));
  });
  if (!step.parts.length) make("td", make("tr", $("parts")), step.kind === "body" ? "content, as it is" : step.kind === "refused" || step.kind === "unread" ? "nothing" : "a mark between two parts");
  $("made").textContent = step.direction === "request" ? "The code that consumed them" : "The code that made them";
  chosen = step.stack.length ? step.stack[0][0] : "";
  code(step);
  message();
}
function pause() { clearInterval(timer); timer = 0; $("play").textContent = "▶ Play"; }
function stops(step) {
  return [["reading", 0], ["writing", 1]].some(([half, index]) =>
    step.before[index] !== step.after[index] && breakpoints.has(half + step.after[index]));
}
function play() {
  if (timer) return pause();
  if (at === steps.length - 1) go(0);
  $("play").textContent = "❚❚ Pause";
  timer = setInterval(() => {
    go(at + 1);
    if (at === steps.length - 1 || stops(steps[at])) pause();
  }, PAUSE);
}
function header() {
  const next = steps.findIndex((step, index) => index > at && step.kind === "field");
  if (next >= 0) go(next);
}
$("back").onclick = () => { pause(); go(at - 1); };
$("forward").onclick = () => { pause(); go(at + 1); };
$("next").onclick = () => { pause(); header(); };
$("play").onclick = play;
$("slider").oninput = () => { pause(); go(Number($("slider").value)); };
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const acts = { ArrowLeft: () => go(at - 1), ArrowRight: () => go(at + 1), ArrowUp: () => go(at - 1),
    ArrowDown: () => go(at + 1), n: header, Home: () => go(0), End: () => go(steps.length - 1) };
  if (event.key === " ") { event.preventDefault(); play(); }
  else if (acts[event.key]) { event.preventDefault(); pause(); acts[event.key](); }
});
// A link may name the first step to show.
go(Number(location.hash.slice(1)) || 0);
