"use strict";
const INTERVAL = 600; // milliseconds between two looks at the state
const $ = id => document.getElementById(id);
let state = null, before = "", drafts = {}, shown = 0, feedback = null;

function make(name, to, text = "", kind = "") {
  const e = document.createElement(name);
  e.textContent = text;
  if (kind) e.className = kind;
  if (to) to.append(e);
  return e;
}
async function post(path, value) {
  $("problem").textContent = "";
  try {
    const got = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });
    const answer = await got.json();
    if (answer.problem) $("problem").textContent = answer.problem;
    await look();
    return answer;
  } catch { gone(true); return {}; }
}
function gone(is) { $("gone").hidden = !is; }
async function look() {
  let text;
  try { text = await (await fetch("/state")).text(); } catch { return gone(true); }
  gone(false);
  if (text === before) return;
  before = text;
  state = JSON.parse(text);
  draw();
}
function draw() {
  const done = state.exercises.filter(each => each.done).length;
  $("progress").textContent = `${done} of ${state.exercises.length} exercises are done`;
  for (const e of document.querySelectorAll(".address")) e.textContent = state.address;
  list();
  const now = state.exercise;
  $("start").hidden = Boolean(now);
  $("exercise").hidden = !now;
  if (!now) return;
  if (shown !== state.number) {
    if (shown) drafts[shown] = $("bytes").value;
    shown = state.number;
    feedback = null;
    $("bytes").value = drafts[shown] || "";
    $("problem").textContent = "";
    $("steps").hidden = true;
    $("tools").hidden = !now.tools.length;
    document.title = `${shown}. ${now.title}`;
    scrollTo(0, 0);
  }
  $("title").textContent = `${state.number}. ${now.title}`;
  fill("text", now.text, (to, each) => make("p", to, each));
  fill("code", now.code, code);
  fill("goals", now.goals, goal);
  const tools = $("tools").querySelector("div");
  tools.replaceChildren();
  now.tools.forEach(each => make("code", tools, each));
  client();
  questions(now);
  fill("findings", [...state.findings].reverse(), finding);
}
function fill(id, values, each) { $(id).replaceChildren(); values.forEach((value, index) => each($(id), value, index)); }
function list() {
  fill("list", state.exercises, (to, each) => {
    const button = make("button", make("li", to), "", each.done ? "done" : each.begun ? "begun" : "");
    make("span", button, each.done ? "✓" : each.begun ? "…" : each.number, "mark");
    make("span", button, each.title);
    button.title = each.done ? "Done" : each.begun ? "Begun" : "Not begun";
    if (each.number === state.number) button.setAttribute("aria-current", "true");
    button.onclick = () => post("/begin", { number: each.number });
  });
}
function code(to, each) {
  const item = make("li", to);
  const where = make(each.link ? "a" : "span", item, each.where, "where");
  if (each.link) { where.href = each.link; where.target = "_blank"; where.rel = "noopener"; }
  item.append(` ${each.does}`);
  make("code", item, each.text);
}
function goal(to, each, index) {
  const item = make("li", to, "", each.done ? "done" : "");
  make("span", item, each.done ? "✓" : "·", "mark");
  make("span", item, each.task);
  const first = state.exercise.goals.findIndex(one => !one.done);
  if (each.hint && index === first) make("p", item, each.hint, "hint");
}
function client() {
  const { open, waits, received } = state.client;
  $("same").disabled = $("hang").disabled = !open;
  $("example").disabled = !state.example;
  $("connection").textContent = open ? `Connection ${open}. ${waits}` : received.length ? "The connection is closed." : "";
  $("received").textContent = received.join("\n");
}
function questions(now) {
  const box = $("questions"), kept = box.querySelector("input");
  const text = kept ? kept.value : "", focused = kept && kept === document.activeElement;
  box.replaceChildren();
  if (now.goals.some(each => !each.done)) return;
  if (now.questions.length) make("h3", box, "Questions");
  now.questions.forEach((each, number) => {
    if (number && !now.questions[number - 1].done) return;
    make("p", box, (each.done ? "✓ " : "") + each.text, each.done ? "right" : "");
    if (feedback && feedback.number === number) make("p", box, feedback.text, feedback.right ? "right" : "hint");
    if (each.done) return;
    const form = make("form", box), input = make("input", form);
    input.setAttribute("aria-label", "Answer");
    input.autocomplete = "off";
    input.dataset.number = number;
    if (kept && kept.dataset.number === String(number)) { input.value = text; if (focused) input.focus(); }
    make("button", form, "Answer");
    form.onsubmit = async event => {
      event.preventDefault();
      const answer = await post("/answer", { number, text: input.value });
      if (answer.text) { feedback = { number, ...answer }; draw(); }
    };
  });
  if (!now.done) return;
  const last = make("div", box, "", "learned");
  make("p", last, now.learned);
  const next = state.exercises.find(each => each.number > state.number && !each.done) || state.exercises.find(each => !each.done);
  if (!next) { make("p", last, "All exercises are done."); return; }
  const button = make("button", last, `Next: ${next.title}`, "main");
  button.onclick = () => post("/begin", { number: next.number });
}
function finding(to, each) {
  const box = make("div", to, "", "finding");
  each.exchanges.forEach(one => {
    const head = make("div", box, "", "head");
    make("span", head, `Connection ${one.connection}, ${one.bytes}`, "dim");
    make("span", head, one.outcome, one.refused ? "refused" : "");
    const button = make("button", head, "Steps");
    button.onclick = () => steps(one);
    make("pre", box, one.lines.join("\n"));
  });
  each.reached.forEach(text => make("p", box, `✓ ${text}`, "right"));
  if (each.hint) make("p", box, `→ ${each.hint}`, "hint");
}
function steps(one) {
  const address = `/steps/${one.connection}#${one.step}`;
  $("steps").hidden = false;
  $("stepped").textContent = `Connection ${one.connection}, byte by byte`;
  $("apart").href = address;
  const frame = document.createElement("iframe");
  frame.id = "frame"; frame.title = "Steps of the connection"; frame.src = address;
  $("frame").replaceWith(frame); // a new fragment alone would not load the page again
  $("steps").scrollIntoView({ behavior: "smooth" });
}
async function send(where) { await post("/send", { text: $("bytes").value, where }); }
$("first").onclick = () => { const next = state && (state.exercises.find(each => !each.done) || state.exercises[0]); if (next) post("/begin", { number: next.number }); };
$("new").onclick = () => send("new");
$("same").onclick = () => send("same");
$("twice").onclick = () => send("twice");
$("hang").onclick = () => post("/hang-up", {});
$("example").onclick = () => { if (state.example) { $("bytes").value = state.example.text; $("bytes").focus(); } };
$("bytes").onkeydown = event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send("new"); } };
setInterval(() => { if (!document.hidden) look(); }, INTERVAL);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
look();
