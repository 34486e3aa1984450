/* The browser's part of the live page. It listens to /__carboy__/live, reloads the page, replaces
   style sheets and shows failures. It creates no elements from HTML and sets no style attributes,
   so that it works under a strict Content-Security-Policy. */
(() => {
"use strict";
const MARK = Symbol.for("carboy.live");
const own = document.currentScript;
if (!own || window[MARK]) return;
window[MARK] = {keep};  // for the outer page, if this one is in a frame

const STYLE = "STYLE";  // replaced by the content of live.css
const FIRST_PAUSE = 50, LAST_PAUSE = 2000, POLL = 1000;  // milliseconds
const address = new URL("live", own.src);
// The state in which this page was made; "page" and "style" count changes in one generation.
const made = {
  generation: own.dataset.generation,
  page: Number(own.dataset.page),
  style: Number(own.dataset.style),
};
const failing = "failing" in own.dataset;  // the page itself shows why the program does not start
const method = own.dataset.method || "GET";

/* --- the event stream: only while the page is visible, as browsers open six connections a host */

let stream = null, timer = 0, pause = FIRST_PAUSE;
let asking = false;  // every second, because other pages have all streams
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
    if (shown === state.generation) return;  // visible already, or hidden by the user
    shown = state.generation;
    show({...state.failure, kind: "The program does not start", lasting: true});
  } else {
    reload(state);
  }
}

/* --- reloading the page */

const STORED = "carboy.live";

function reload(state) {
  const aim = `${state.generation} ${state.page} ${location.href}`;
  hide();
  if (method !== "GET") {
    // Only the user may decide to send a form twice.
    note("The program has changed.", "Send the form again", () => location.reload());
  } else if (stored() === aim) {
    // Still old after a reload: something caches the page, such as a service worker.
    note("This page is older than the program.", "Reload", () => location.reload());
  } else {
    store(aim);
    for (const page of documents(window)) page.defaultView?.[MARK]?.keep();
    location.reload();
  }
}

function stored() {
  try { return sessionStorage.getItem(STORED); } catch { return null; }
}

function store(value) {
  try { sessionStorage.setItem(STORED, value); } catch { /* storage is forbidden */ }
}

function settle() {
  try { sessionStorage.removeItem(STORED); } catch { /* as above */ }
}

/* --- what the user typed, opened and scrolled, which is put back after a reload */

const KEPT = 600000, LATE = 10000;  // milliseconds: while the page is an error; for late fields
// Secrets are not stored, and the browser does not let a page set files.
const NOT_TYPED = /^(hidden|submit|button|reset|image|file|password)$/;
const PRIVATE = /(^|\s)(cc-|one-time-code|current-password|new-password)/;
const edited = new Set(), toggled = new Set();  // contenteditable, <details>

addEventListener("input", event => {
  const host = event.target.isContentEditable && event.target.closest("[contenteditable]");
  if (host) edited.add(host);
}, true);
addEventListener("toggle", event => { if (event.target.localName === "details") toggled.add(event.target); }, true);

/* The key in the storage; pages in frames have keys of their own. */
function place(view = window) {
  const outer = view.parent;
  return view === outer ? "carboy.live.kept" : `${place(outer)}/${Array.from(outer, frame => frame).indexOf(view)}`;
}

/* Where an element is: below the nearest element with an id, or below the document. */
function path(element) {
  if (element.id) return `#${encodeURIComponent(element.id)}`;
  const outer = element.parentElement;
  return outer ? `${path(outer)}>${[...outer.children].indexOf(element)}` : "";
}

function located(path) {
  const [first, ...steps] = path.split(">");
  const start = first ? document.getElementById(decodeURIComponent(first.slice(1))) : document.documentElement;
  return steps.reduce((element, step) => element?.children[step], start);
}

/* The fields of the page by form, name, type and position. */
function fields() {
  const found = new Map(), counts = {};
  for (const field of document.querySelectorAll("input, textarea, select")) {
    if (NOT_TYPED.test(field.type) || PRIVATE.test(field.autocomplete || "")) continue;
    const form = field.form ? field.form.getAttribute("id") || field.form.getAttribute("name") || field.form.getAttribute("action") || "" : "";
    const name = JSON.stringify([form, field.name || field.id, field.type]);
    const count = counts[name] = (counts[name] || 0) + 1;
    found.set(`${name} ${count}`, field);
  }
  return found;
}

const choosable = field => field.type === "checkbox" || field.type === "radio";

function content(field) {
  if (choosable(field)) return field.checked === field.defaultChecked ? null : field.checked;
  if (!field.options) return field.value === field.defaultValue ? null : field.value;
  const options = [...field.options];
  const first = !field.multiple && !options.some(option => option.defaultSelected) ? options.find(option => !option.disabled) : null;
  const changed = options.some(option => option.selected !== (option.defaultSelected || option === first));
  return changed ? options.filter(option => option.selected).map(option => option.value) : null;
}

function enter(field, value) {
  if (choosable(field)) field.checked = value;
  else if (field.options) for (const option of field.options) option.selected = value.includes(option.value);
  else field.value = value;
  for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, {bubbles: true}));
}

/* The selection in an editable element, as offsets in its text. */
function caret(host) {
  const selection = getSelection();
  if (!selection.rangeCount || !host.contains(selection.anchorNode)) return null;
  const range = selection.getRangeAt(0), before = document.createRange();
  before.selectNodeContents(host);
  before.setEnd(range.startContainer, range.startOffset);
  const start = String(before).length;
  return [start, start + String(range).length];
}

function select(host, [start, end]) {
  const texts = document.createTreeWalker(host, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  range.selectNodeContents(host);
  for (let at = 0, text; (text = texts.nextNode()); at += text.length) {
    if (at <= start && start <= at + text.length) range.setStart(text, start - at);
    if (at <= end && end <= at + text.length) { range.setEnd(text, end - at); break; }
  }
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

function keep() {
  const kept = {href: location.href, at: Date.now(), typed: [], focus: null, edited: [], dialogs: [], details: [], scrolled: []};
  const active = document.activeElement;
  for (const [name, field] of fields()) {
    const value = content(field);
    if (value !== null) kept.typed.push([name, value]);
    if (field === active) kept.focus = [name, field.selectionStart, field.selectionEnd];
  }
  if (!kept.focus && active?.matches("[contenteditable], a, button, summary, [tabindex]")) kept.active = [path(active), active.isContentEditable ? caret(active) : null];
  for (const host of edited) if (host.isConnected) kept.edited.push([path(host), host.innerHTML]);
  for (const element of toggled) if (element.isConnected) kept.details.push([path(element), element.open]);
  for (const dialog of document.querySelectorAll("dialog[open]")) kept.dialogs.push([path(dialog), dialog.matches(":modal")]);
  for (const element of document.body?.querySelectorAll("*") || []) {
    if (element.scrollTop || element.scrollLeft) kept.scrolled.push([path(element), element.scrollLeft, element.scrollTop]);
  }
  try { sessionStorage.setItem(place(), JSON.stringify(kept)); } catch { /* storage is forbidden or full */ }
}

function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(place()));
    if (!kept || kept.href !== location.href) return;
    const known = [...kept.typed, ...(kept.focus ? [kept.focus] : [])];
    const found = fields();
    // The page may be an error, after which the form is shown again.
    if (known.length && !known.some(([name]) => found.has(name)) && Date.now() - kept.at < KEPT) {
      enterLate(kept);
      return;
    }
    sessionStorage.removeItem(place());
    for (const [where, html] of kept.edited) edit(located(where), html);
    for (const [where, modal] of kept.dialogs) {
      const dialog = located(where);
      if (dialog?.localName === "dialog" && !dialog.open) { if (modal) dialog.showModal(); else dialog.show(); }
    }
    for (const [where, open] of kept.details) {
      const element = located(where);
      if (element?.localName === "details") element.open = open;
    }
    if (kept.active) {
      const [where, selected] = kept.active, element = located(where);
      element?.focus({preventScroll: true});
      if (selected && element?.isContentEditable) select(element, selected);
    }
    const left = enterAll(kept);
    const scroll = () => { for (const [where, x, y] of kept.scrolled) located(where)?.scrollTo({left: x, top: y, behavior: "instant"}); };
    scroll();
    if (document.readyState !== "complete") addEventListener("load", scroll, {once: true});  // with images
    if (left) enterLate(kept);
  } catch { /* storage is forbidden */ }
}

function edit(host, html) {
  if (!host?.isContentEditable) return;
  try { host.innerHTML = html; } catch { return; }  // a policy demands trusted types
  host.dispatchEvent(new InputEvent("input", {bubbles: true}));
}

/* Enters what was typed into the fields that exist; returns how many are missing. */
function enterAll(kept) {
  const found = fields();
  for (const [name, value] of kept.typed) if (found.has(name)) enter(found.get(name), value);
  kept.typed = kept.typed.filter(([name]) => !found.has(name));
  const [name, start, end] = kept.focus || [];
  if (found.has(name)) {
    found.get(name).focus({preventScroll: true});
    if (start !== null && start !== undefined) found.get(name).setSelectionRange(start, end);
    kept.focus = null;
  }
  return kept.typed.length + (kept.focus ? 1 : 0);
}

/* Fields that scripts add to the page, such as fragments that are loaded. */
function enterLate(kept) {
  const observer = new MutationObserver(() => {
    if (enterAll(kept)) return;
    observer.disconnect();
    sessionStorage.removeItem(place());
  });
  observer.observe(document.documentElement, {childList: true, subtree: true});
  setTimeout(() => observer.disconnect(), LATE);
}

/* --- style sheets */

const replaced = new WeakSet();

function swap(paths) {
  const sheets = documents(window).flatMap(page => [...page.querySelectorAll("link[href]")])
    .filter(link => link.relList.contains("stylesheet") && !replaced.has(link))
    .filter(link => new URL(link.href).origin === location.origin);
  const found = new Set(paths.flatMap(path => matching(path, sheets)));
  // A style sheet without a link is imported by one that has a link.
  const imported = paths.length === 0 || paths.some(path => !matching(path, sheets).length);
  for (const link of imported ? sheets : found) replace(link);
}

/* The style sheets whose URL has the longest common ending with the path of the file. */
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

/* The old style sheet stays until the new one is loaded, so that the page does not flicker. */
function replace(link) {
  const fresh = link.cloneNode();
  const url = new URL(link.href);
  url.searchParams.set("__carboy__", Date.now().toString(36) + Math.random().toString(36).slice(2, 5));
  fresh.href = url;
  fresh.nonce = link.nonce;
  fresh.disabled = link.disabled;
  fresh.removeAttribute("integrity");  // it is that of the old content
  replaced.add(link);
  fresh.addEventListener("load", () => link.remove(), {once: true});
  fresh.addEventListener("error", () => { fresh.remove(); replaced.delete(link); }, {once: true});
  link.after(fresh);
}

/* The documents of this window and of its frames, except those of other sites. */
function documents(view) {
  try {
    return [view.document, ...Array.from(view, frame => frame).flatMap(documents)];
  } catch {
    return [];
  }
}

/* --- messages: a failure over the page, or a note in its corner */

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
      element("p", {}, failure.lasting ? "This message disappears when the error is fixed."
        : "This message stays until you hide it or the program changes."),
      copy,
      element("button", {type: "button", click: () => dialog.close()}, "Hide", element("kbd", {}, "Esc"))));
  put(dialog).showModal();
  trace.scrollTop = trace.scrollHeight;  // the line that failed is at the end
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

/* The traceback line by line; files, code and marks differ in colour only. */
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
  // The line that failed: the last line of code.
  const last = pieces.findLastIndex(piece => piece.className === "code");
  if (last >= 0) pieces[last].classList.add("current");
  if (pieces[last + 1]?.className === "caret") pieces[last + 1].classList.add("current");
  return pieces;
}

function row(kind, library, ...content) {
  return element("div", {class: library ? `${kind} library` : kind}, ...content, "\n");
}

/* --- start and end */

document.addEventListener("visibilitychange", () => {
  asking = false;
  if (document.visibilityState === "visible") connect();
  else disconnect();
});
addEventListener("pagehide", disconnect);  // an open stream would keep the page out of the back/forward cache
addEventListener("pageshow", event => { if (event.persisted) connect(); });

/* A frame inside a live page is reloaded with that page. */
function begin() {
  let outer = false;
  try { outer = window !== top && Boolean(top[MARK]); } catch { /* the outer page is of another site */ }
  restore();
  if (!outer) connect();
}
if (window === top || document.readyState === "complete") begin();
else addEventListener("load", begin, {once: true});
})();
