/* The page's side of the live page: listens to /__carboy__/live, loads the page again, swaps
   style sheets, shows failures. It makes no element from HTML and sets no style attribute, so
   that it works under a strict Content-Security-Policy. */
(() => {
"use strict";
const MARK = Symbol.for("carboy.live");
const own = document.currentScript;
if (!own || window[MARK]) return;
window[MARK] = true;

const STYLE = "STYLE";  // live.css is put here
const FIRST_PAUSE = 50, LAST_PAUSE = 2000, POLL = 1000;  // milliseconds
const address = new URL("live", own.src);
// What this page was made of; "page" and "style" count changes in one generation.
const made = {
  generation: own.dataset.generation,
  page: Number(own.dataset.page),
  style: Number(own.dataset.style),
};
const failing = "failing" in own.dataset;  // the page itself shows a failure of the program
const method = own.dataset.method || "GET";

/* --- the stream: one a page that is looked at, as HTTP/1.1 allows six connections a host */

let stream = null, timer = 0, pause = FIRST_PAUSE;
let asking = false;  // now and then, as others have the streams there are
let shown = "";  // the generation whose failure was shown

function connect() {
  clearTimeout(timer);
  if (stream || document.visibilityState !== "visible") return;
  stream = new EventSource(asking ? `${address}?once` : address);
  const on = (kind, act) => stream.addEventListener(kind, event => act(JSON.parse(event.data)));
  on("hello", hello);
  on("page", reload);
  on("style", state => { made.style = state.style; swap(state.paths); });
  on("failure", failure => show({...failure, kind: "A request failed"}));
  on("full", () => { asking = true; later(POLL); });
  stream.onerror = () => {
    later(pause);
    pause = Math.min(pause * 1.5, LAST_PAUSE);
  };
}

function later(wait) {
  disconnect();
  timer = setTimeout(connect, wait);
}

function disconnect() {
  clearTimeout(timer);
  if (stream) stream.close();
  stream = null;
}

function hello(state) {
  pause = FIRST_PAUSE;
  if (state.once) later(POLL);
  const current = state.generation === made.generation && state.page === made.page;
  if (current) {
    settle();
    if (state.style !== made.style) swap([]);
    made.style = state.style;
  } else if (state.failure && !failing) {
    if (shown === state.generation) return;  // hidden by the user, or there already
    shown = state.generation;
    show({...state.failure, kind: "The program does not start", lasting: true});
  } else {
    reload(state);
  }
}

/* --- loading the page again */

const STORED = "carboy.live";

function reload(state) {
  const aim = `${state.generation} ${state.page} ${location.href}`;
  hide();
  if (method !== "GET") {
    // Only the user may send a form a second time.
    note("The program has changed.", "Send the form again", () => location.reload());
  } else if (stored() === aim) {
    // Loaded for this already, and still old: something keeps the page, such as a service worker.
    note("This page is older than the program.", "Load again", () => location.reload());
  } else {
    store(aim);
    location.reload();
  }
}

function stored() {
  try { return sessionStorage.getItem(STORED); } catch { return null; }
}

function store(value) {
  try { sessionStorage.setItem(STORED, value); } catch { /* storage is forbidden: do without */ }
}

function settle() {
  try { sessionStorage.removeItem(STORED); } catch { /* as above */ }
}

/* --- style sheets */

const replaced = new WeakSet();

function swap(paths) {
  const sheets = documents(window).flatMap(page => [...page.querySelectorAll("link[href]")])
    .filter(link => link.relList.contains("stylesheet") && !replaced.has(link))
    .filter(link => new URL(link.href).origin === location.origin);
  const found = new Set(paths.flatMap(path => matching(path, sheets)));
  // A sheet that no link names is imported by one of them.
  const imported = paths.length === 0 || paths.some(path => !matching(path, sheets).length);
  for (const link of imported ? sheets : found) replace(link);
}

/* The sheets whose address ends most like the file's path does. */
function matching(path, sheets) {
  const file = path.split(/[\\/]/).reverse();
  const likeness = link => {
    const parts = decodeURIComponent(new URL(link.href).pathname).split("/").reverse();
    let same = 0;
    while (same < parts.length && parts[same] && parts[same] === file[same]) same++;
    return same;
  };
  const best = Math.max(0, ...sheets.map(likeness));
  return best ? sheets.filter(link => likeness(link) === best) : [];
}

/* The new sheet stands beside the old one until it is there, so that nothing flashes. */
function replace(link) {
  const fresh = link.cloneNode();
  const url = new URL(link.href);
  url.searchParams.set("__carboy__", Date.now().toString(36) + Math.random().toString(36).slice(2, 5));
  fresh.href = url;
  fresh.nonce = link.nonce;
  fresh.disabled = link.disabled;
  fresh.removeAttribute("integrity");  // of the old content
  replaced.add(link);
  fresh.addEventListener("load", () => link.remove(), {once: true});
  fresh.addEventListener("error", () => { fresh.remove(); replaced.delete(link); }, {once: true});
  link.after(fresh);
}

/* This page and those in its frames, as far as they are ours. */
function documents(view) {
  try {
    return [view.document, ...Array.from(view, frame => frame).flatMap(documents)];
  } catch {
    return [];
  }
}

/* --- what is shown: a failure over the page, or a note in its corner */

let host = null, root = null;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function put(child) {
  if (!host) {
    host = document.createElement("carboy-live");
    root = host.attachShadow({mode: "open"});
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
  }
  if (!host.isConnected) document.documentElement.append(host);
  root.replaceChildren(child);
  return child;
}

function hide() {
  if (host) host.remove();
}

function note(text, label, act) {
  const bar = element("div", {class: "note", role: "status"}, element("span", {}, text));
  if (label) bar.append(element("button", {type: "button", click: act}, label));
  bar.append(element("button", {type: "button", class: "close", "aria-label": "Hide", click: hide}, "×"));
  put(bar);
}

function show(failure) {
  const [, name, message] = /^([\w.]+):\s+([^]*)$/.exec(failure.title) || [null, "", failure.title];
  const lines = failure.text.replace(/\s+$/, "");
  const copy = element("button", {type: "button", click: () => copied(copy, lines)}, "Copy as text");
  const trace = element("div", {class: "trace", tabindex: "0", autofocus: "", role: "region",
    "aria-label": "Traceback"}, ...traced(lines));
  const dialog = element("dialog", {"aria-labelledby": "message", close: () => left(failure)},
    element("header", {},
      element("p", {class: "kind"}, failure.kind),
      element("h1", {id: "message"}, ...(name ? [element("b", {}, `${name}:`), " "] : []), message || name)),
    trace,
    element("footer", {},
      element("p", {}, failure.lasting ? "Goes away by itself when the error is mended."
        : "Stays until you hide it or the program changes."),
      copy,
      element("button", {type: "button", click: () => dialog.close()}, "Hide", element("kbd", {}, "Esc"))));
  put(dialog).showModal();
  trace.scrollTop = trace.scrollHeight;  // the line that failed is the last
}

function left(failure) {
  if (!host || !host.isConnected) return;
  if (failure.lasting) note(failure.title.split("\n")[0], "Show", () => show(failure));
  else hide();
}

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(root.querySelector(".trace"));
    button.textContent = "Selected";
  }
}

/* The traceback, line for line: places, code and marks told apart by colour only. */
function traced(text) {
  const pieces = [];
  let library = false;
  for (const line of text.split("\n")) {
    const place = /^([\s|+]*)File "(.*)", line (\d+)(?:, in (.*))?$/.exec(line);
    if (place) {
      const [, indent, path, number, where] = place;
      library = /[\\/](site-packages|dist-packages|lib[\\/]python[\d.]+)[\\/]|^<frozen /.test(path);
      const cut = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1;
      pieces.push(row("place", library, `${indent}File "`, path.slice(0, cut),
        element("b", {}, path.slice(cut)), '", line ', element("b", {}, number),
        ...(where ? [", in ", element("i", {}, where)] : [])));
    } else if (/^\s+[\s^~|]*[\^~]+\s*$/.test(line)) {
      pieces.push(row("caret", library, line));
    } else if (/^\s{2,}\S/.test(line)) {
      pieces.push(row("code", library, line));
    } else if (/^(\w+\.)*\w+(:|$)/.test(line) && !line.startsWith("Traceback")) {
      pieces.push(row("raised", false, line));
    } else {
      pieces.push(row("text", false, line));
    }
  }
  // Where it happened: the last line of code that is the user's own.
  const last = pieces.findLastIndex(piece => piece.className === "code");
  if (last >= 0) pieces[last].classList.add("current");
  if (pieces[last + 1]?.className === "caret") pieces[last + 1].classList.add("current");
  return pieces;
}

function row(kind, library, ...content) {
  return element("div", {class: library ? `${kind} library` : kind}, ...content, "\n");
}

/* --- beginning and end */

document.addEventListener("visibilitychange", () => {
  asking = false;
  if (document.visibilityState === "visible") connect();
  else disconnect();
});
addEventListener("pagehide", disconnect);  // a stream would keep the page out of the back cache
addEventListener("pageshow", event => { if (event.persisted) connect(); });

/* A frame in a page of ours is loaded with it. */
function begin() {
  let outer = false;
  try { outer = window !== top && Boolean(top[MARK]); } catch { /* of another site */ }
  if (outer) return;
  connect();
}
if (window === top || document.readyState === "complete") begin();
else addEventListener("load", begin, {once: true});
})();
