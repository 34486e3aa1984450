"use strict";

const room = document.body.dataset.room;
const me = document.body.dataset.name;
const part = (id) => document.getElementById(id);
const path = (name) => `/rooms/${encodeURIComponent(room)}/${name}`;

// --- messages

const shown = new Map(); // key of a message -> its element
const list = part("messages");

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

function face(name) {
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  const made = element("span", "face", [...name][0].toUpperCase());
  made.style.setProperty("--hue", hue);
  made.title = name;
  return made;
}

function show(message, waits) {
  const known = shown.get(message.key);
  if (known) {
    if (!waits) known.classList.remove("waits");
    return;
  }
  const time = new Date(message.at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const who = element("span", "who", element("b", "", message.name), ` ${time}`);
  const item = element("li", "", face(message.name), who, element("span", "text", message.text));
  item.dataset.name = message.name;
  item.classList.toggle("mine", message.name === me);
  item.classList.toggle("waits", waits);
  item.classList.toggle("again", list.lastElementChild?.dataset.name === message.name);
  shown.set(message.key, item);
  append(item);
}

function append(item) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 120;
  list.append(item);
  if (atEnd || item.classList.contains("mine")) list.scrollTop = list.scrollHeight;
}

// --- sending: a message is sent again until the server has it, and is shown once, by its key

const outgoing = [];

async function deliver() {
  while (outgoing.length) {
    const { key, text } = outgoing[0];
    try {
      const reply = await post("messages", { key, text });
      if (reply.status >= 500) throw new Error(reply.statusText);
      outgoing.shift();
      if (!reply.ok) refuse(key, (await reply.text()) || reply.statusText);
    } catch {
      await new Promise((done) => setTimeout(done, 500));
    }
  }
}

function post(name, value) {
  const headers = { "Content-Type": "application/json" };
  return fetch(path(name), { method: "POST", headers, body: JSON.stringify(value) });
}

function refuse(key, reason) {
  shown.get(key).remove();
  append(element("li", "note", `Your message was not sent: ${reason}`));
}

const form = part("compose");
const input = form.elements.text;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = input.value.trim();
  if (!text) return;
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  show({ key, text, name: me, at: Date.now() / 1000 }, true);
  outgoing.push({ key, text });
  if (outgoing.length === 1) deliver();
  input.value = "";
  typed = 0;
});

input.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// --- who is typing, and who is here

const TYPING = 3000;
const typing = new Map(); // name -> the timer that ends it
let typed = 0;

input.addEventListener("input", () => {
  if (!input.value || Date.now() - typed < TYPING / 2) return;
  typed = Date.now();
  post("typing", {}).catch(() => {}); // the next one will do
});

function isTyping(name, yes) {
  clearTimeout(typing.get(name));
  typing.delete(name);
  if (yes && name !== me) typing.set(name, setTimeout(isTyping, TYPING, name, false));
  const names = [...typing.keys()];
  const verb = names.length === 1 ? "is" : "are";
  part("typing").textContent = names.length ? `${names.join(" and ")} ${verb} typing` : "";
}

function here(names) {
  part("people").replaceChildren(...names.map((name) => element("li", "", face(name))));
}

let asked = 0;

async function refreshPeople() {
  const mine = ++asked;
  const reply = await fetch(path("people")).catch(() => null);
  if (reply?.ok && mine === asked) here(await reply.json());
}

// --- the room as it happens. After an interruption, the server sends what was missed.

let stream = null;
let last = ""; // the id of the last event that has come
let missed = false; // the history has to be loaded
let early = []; // events that come while it is loaded

function connected(yes) {
  part("state").dataset.state = yes ? "connected" : "connecting";
  part("state").textContent = yes ? "connected" : "connecting";
}

function connect() {
  if (!last) missed = true;
  stream = new EventSource(path("live") + (last && `?last_event_id=${encodeURIComponent(last)}`));
  stream.onopen = () => {
    connected(true);
    refreshPeople();
    if (missed) loadHistory();
  };
  stream.onerror = () => {
    connected(false); // the browser connects again, except after a response that is an error
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 1000);
  };
  for (const name of ["said", "typing", "join", "leave", "reset"])
    stream.addEventListener(name, (event) => (missed ? early.push(event) : take(event)));
}

async function loadHistory() {
  try {
    for (const message of await (await fetch(path("history"))).json()) show(message, false);
  } catch {
    setTimeout(loadHistory, 1000);
    return;
  }
  list.scrollTop = list.scrollHeight;
  missed = false;
  for (const event of early.splice(0)) take(event);
}

function take({ type, data, lastEventId }) {
  last = lastEventId || last;
  if (type === "said") {
    const message = JSON.parse(data);
    isTyping(message.name, false);
    show(message, false);
  } else if (type === "typing") {
    isTyping(JSON.parse(data).name, true);
  } else if (type === "reset") {
    missed = true;
    loadHistory();
  } else {
    refreshPeople();
  }
}

// --- the chart: messages in all rooms, in bars of five seconds

const BARS = 36;
const SECONDS = 5;
const times = [];

function draw() {
  const now = Math.floor(Date.now() / 1000 / SECONDS);
  const counts = new Array(BARS).fill(0);
  for (const time of times) {
    const age = now - Math.floor(time / SECONDS);
    if (age < BARS) counts[BARS - 1 - Math.max(0, age)] += 1;
  }
  const most = Math.max(4, ...counts);
  const bars = part("chart").querySelectorAll("rect");
  counts.forEach((count, index) => {
    const height = count ? Math.max(3, (66 * count) / most) : 0;
    bars[index].setAttribute("height", height);
    bars[index].setAttribute("y", 70 - height);
  });
  part("total").textContent = counts.reduce((sum, count) => sum + count, 0);
}

function beginChart() {
  const make = (name, values) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in values) made.setAttribute(key, values[key]);
    part("chart").append(made);
  };
  const width = 240 / BARS;
  for (let index = 0; index < BARS; index += 1)
    make("rect", { x: index * width, y: 70, width: width - 1.5, height: 0, rx: 1.5 });
  make("line", { x1: 0, x2: 240, y1: 71, y2: 71 });
  const pulse = new EventSource("/pulse");
  pulse.addEventListener("sent", (event) => {
    times.push(Number(event.data));
    draw();
  });
  setInterval(draw, 1000);
}

connect();
beginChart();
