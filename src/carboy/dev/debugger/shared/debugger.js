"use strict";
// The page of the debugger: folding frames, consoles, and the PIN form. Without JavaScript,
// everything except the consoles works.

const OLD = "The page is older than the server's code. Reload the page.";
const GONE = "The server does not answer. It was stopped, or it is starting again.";

// Secret and PIN are in the body, because URLs are in access logs. Raises an Error with a text for
// the user if the server does not answer or if this page's debugger does not.
async function ask(query) {
  let response;
  try {
    response = await fetch("?__debugger__=yes",
      { method: "POST", credentials: "same-origin", body: new URLSearchParams({ s: SECRET, ...query }) });
  } catch { throw new Error(GONE); }
  if (response.status === 401) trusted = false;
  if (!response.headers.has("X-Debugger") || response.status === 410) throw new Error(OLD);
  return response;
}
let trusted = EVALEX_TRUSTED;

// --- the PIN

function unlocked() {
  if (trusted) return Promise.resolve(true);
  const dialog = document.querySelector(".pin-prompt");
  const form = dialog.querySelector("form");
  const answer = dialog.querySelector(".pin-answer");
  ask({ cmd: "printpin" }).catch(() => {});
  dialog.showModal();
  form.pin.value = "";
  form.pin.focus();
  return new Promise((resolve) => {
    const close = (result) => { form.onsubmit = null; dialog.close(); resolve(result); };
    dialog.querySelector("[value=cancel]").onclick = () => close(false);
    dialog.oncancel = () => close(false);
    form.onsubmit = async (event) => {
      event.preventDefault();
      answer.textContent = "…";
      let response;
      try { response = await ask({ cmd: "pinauth", pin: form.pin.value }); }
      catch (error) { answer.textContent = error.message; return; }
      if (!response.ok) {
        answer.textContent = "This host is not trusted. Open the page as localhost or 127.0.0.1.";
        return;
      }
      const { auth, exhausted } = await response.json();
      if (auth) { trusted = true; answer.textContent = ""; close(true); }
      else if (exhausted) answer.textContent = "Too many wrong PINs. Restart the server to try again.";
      else { answer.textContent = "Wrong PIN."; form.pin.select(); }
    };
  });
}

// --- folded values

function unfoldable(root) {
  for (const rest of root.querySelectorAll(".extended")) {
    if (rest.previousElementSibling?.classList.contains("more")) continue;
    const more = document.createElement("button");
    more.type = "button";
    more.className = "more";
    more.textContent = "… more";
    more.onclick = () => { rest.classList.add("open"); more.remove(); };
    rest.before(more);
  }
}

// --- a console

const SLOW = 300;  // milliseconds, after which running code can be stopped
const PATIENCE = 1000;  // milliseconds, after which code that was stopped should have ended
const HISTORY = "carboy-console";
let lines = [];  // used where storage is forbidden
function remembered() {
  try { return JSON.parse(sessionStorage.getItem(HISTORY) || "[]"); } catch { return lines; }
}
function remember(all) {
  lines = all.slice(-200);
  try { sessionStorage.setItem(HISTORY, JSON.stringify(lines)); } catch { /* full or forbidden */ }
}

function makeConsole(id) {
  const box = document.createElement("div");
  box.className = "console";
  box.innerHTML = '<div class=out-all></div><form><span>&gt;&gt;&gt;</span>'
    + '<textarea rows=1 spellcheck=false autocapitalize=off aria-label="Python"></textarea></form>'
    + '<div class=busy hidden><span></span> <button type=button>Stop</button></div><div class=names></div>';
  const form = box.querySelector("form");
  const input = form.querySelector("textarea");
  const names = box.querySelector(".names");
  const busy = box.querySelector(".busy");
  busy.querySelector("button").onclick = () => stop();
  let running = false;
  let at = remembered().length;

  const grow = () => { input.rows = input.value.split("\n").length; };
  // One after the other, because a line may need the names of the line before it.
  let last = Promise.resolve();
  const queued = (query, code) => { last = last.then(() => show(query, code)); return last; };
  const run = (code) => queued({ cmd: code }, code);
  const locals = () => queued({ locals: "yes" }, "");
  const state = busy.querySelector("span");
  let number = 0;  // of the code that runs
  async function stop() {
    const mine = number;
    try {
      const { place } = await (await ask({ stop: "yes", frm: id })).json();
      await new Promise((wait) => setTimeout(wait, PATIENCE));
      if (!running || mine !== number) return;
      state.textContent = "The code has not stopped yet"
        + (place ? ` (${place})` : "") + ". A function in C cannot be interrupted: the code stops when the function returns.";
    } catch { /* the answer to the code itself says why */ }
  }
  const prompt = (open) => { form.querySelector("span").textContent = open ? "..." : ">>>"; };
  async function show(query, code) {
    const out = document.createElement("div");
    out.className = "out";
    running = true;
    number++;
    state.textContent = "Running …";
    const slow = setTimeout(() => { busy.hidden = false; }, SLOW);
    try {
      let response = await ask({ ...query, frm: id });
      if (response.status === 401 && await unlocked()) response = await ask({ ...query, frm: id });
      const text = await response.text();
      if (response.ok) out.innerHTML = text; else out.textContent = text;
      if (code) prompt(response.headers.get("X-Debugger-More") === "yes");
    } catch (error) {
      out.textContent = code ? `>>> ${code}\n${error.message}` : error.message;
    } finally {
      clearTimeout(slow);
      running = false;
      busy.hidden = true;
    }
    box.querySelector(".out-all").append(out);
    unfoldable(out);
    out.scrollTop = out.scrollHeight;
    out.scrollIntoView({ block: "nearest" });
  }
  form.onsubmit = (event) => { event.preventDefault(); submit(); };
  function submit() {
    const code = input.value;
    const all = remembered();
    if (code.trim() && all.at(-1) !== code) remember([...all, code]);
    at = remembered().length;
    input.value = "";
    names.textContent = "";
    grow();
    return run(code);
  }
  async function complete() {
    const before = input.value.slice(0, input.selectionStart);
    if (!before.split("\n").at(-1).trim()) { input.setRangeText("    ", input.selectionStart, input.selectionEnd, "end"); return; }
    let typed, found;
    try { ({ typed, found } = await (await ask({ complete: before, frm: id })).json()); } catch { return; }
    names.textContent = "";
    if (!found?.length || input.value.slice(0, input.selectionStart) !== before) return;
    let common = found[0];
    for (const name of found) while (!name.startsWith(common)) common = common.slice(0, -1);
    if (common.length > typed.length) input.setRangeText(common.slice(typed.length), input.selectionStart, input.selectionStart, "end");
    names.textContent = found.length > 1 ? found.join("  ") : "";
  }
  function interrupt() {
    if (running) { stop(); return; }
    ask({ stop: "yes", frm: id }).catch(() => {});  // forgets incomplete input
    prompt(false);
    input.value = "";
    grow();
  }
  input.oninput = grow;
  input.onkeydown = (event) => {
    const all = remembered();
    const single = !input.value.includes("\n");
    if (event.key === "c" && event.ctrlKey && input.selectionStart === input.selectionEnd && !String(getSelection())) interrupt();
    else if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); submit(); }
    else if (event.key === "Tab" && !event.shiftKey) { event.preventDefault(); complete(); }
    else if (event.key === "ArrowUp" && single && at > 0) { event.preventDefault(); input.value = all[--at]; grow(); }
    else if (event.key === "ArrowDown" && single && at < all.length) { event.preventDefault(); input.value = all[++at] || ""; grow(); }
    else if (event.key === "Escape") { input.blur(); input.closest(".frame")?.querySelector("summary").focus(); }
  };
  return { box, input, locals };
}

// --- frames

const consoles = new Map();

async function consoleOf(frame) {
  if (!EVALEX || !(await unlocked())) return null;
  if (!consoles.has(frame)) {
    const made = makeConsole(frame.id.replace("frame-", ""));
    frame.append(made.box);
    consoles.set(frame, made);
  }
  frame.open = true;
  return consoles.get(frame);
}
const openConsole = async (frame) => (await consoleOf(frame))?.input.focus();
const showLocals = async (frame) => (await consoleOf(frame))?.locals();

function frameTools(frame) {
  const tools = document.createElement("div");
  tools.className = "frame-tools";
  for (const [text, action] of [["Console", openConsole], ["Locals", showLocals]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.onclick = () => action(frame);
    tools.append(button);
  }
  frame.append(tools);
}

function foldLibraries(on) {
  document.querySelector(".debugger > .traceback")?.classList.toggle("fold", on);
  for (const note of document.querySelectorAll(".folded")) note.parentElement.remove();
  if (!on) return;
  let run = [];
  const close = () => {
    if (!run.length) return;
    const item = document.createElement("li");
    const first = run[0];
    item.innerHTML = `<div class=folded><button type=button>${run.length} library frame${run.length > 1 ? "s" : ""}</button></div>`;
    const mine = run;
    item.querySelector("button").onclick = () => { for (const each of mine) each.firstElementChild.open = true; item.remove(); };
    first.before(item);
    run = [];
  };
  for (const item of document.querySelectorAll(".debugger > .traceback > ul > li")) {
    if (item.querySelector(":scope > .library:not([open])")) run.push(item); else close();
  }
  close();
}

function start() {
  unfoldable(document);
  if (CONSOLE_MODE) {
    const page = document.querySelector(".console-page");
    unlocked().then((open) => {
      if (!open) { page.textContent = "The console is locked. Reload the page to try again."; return; }
      const made = makeConsole("0");
      page.replaceChildren(made.box);
      made.input.focus();
    });
    return;
  }
  const frames = [...document.querySelectorAll(".debugger .frame")];
  const own = frames.filter((frame) => !frame.classList.contains("library"));
  const last = own.filter((frame) => frame.querySelector("pre.line")).at(-1) || own.at(-1) || frames.at(-1);
  if (last) last.open = true;
  // Also open the frame that raised each of the causes.
  for (const divider of document.querySelectorAll(".exc-divider")) {
    let item = divider.parentElement.previousElementSibling;
    while (item && !item.querySelector(":scope > .frame")) item = item.previousElementSibling;
    const frame = item?.querySelector(":scope > .frame:not(.library)");
    if (frame) frame.open = true;
  }
  if (EVALEX) frames.filter((frame) => frame.id).forEach(frameTools);
  foldLibraries(true);
  const button = (name) => document.querySelector(`[data-do=${name}]`);
  button("library").hidden = own.length === frames.length;
  button("library").onclick = () => {
    const shown = button("library").getAttribute("aria-pressed") !== "true";
    button("library").setAttribute("aria-pressed", shown);
    foldLibraries(!shown);
  };
  button("copy").onclick = async () => {
    const text = document.querySelector(".plain textarea");
    try { await navigator.clipboard.writeText(text.value); }
    catch { text.closest("details").open = true; text.select(); document.execCommand("copy"); }
    button("copy").textContent = "Copied";
    setTimeout(() => { button("copy").textContent = "Copy as text"; }, 1500);
  };
  document.onkeydown = (event) => {
    if (/^(TEXTAREA|INPUT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    const seen = frames.filter((frame) => frame.offsetParent !== null);
    const here = document.activeElement.closest?.(".frame") || null;
    const at = seen.indexOf(here);
    const go = (index) => { const frame = seen[Math.min(Math.max(index, 0), seen.length - 1)]; frame?.querySelector("summary").focus(); };
    if (event.key === "j") go(at + 1);
    else if (event.key === "k") go(at < 0 ? seen.length - 1 : at - 1);
    else if (event.key === "c" && EVALEX) { event.preventDefault(); openConsole(here || last); }
    else if (event.key === "l" && EVALEX) { event.preventDefault(); showLocals(here || last); }
  };
}
start();
