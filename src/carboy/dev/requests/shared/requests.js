// Adds new requests to the list while the page is visible; handles its keys.
const rows = document.querySelector("#rows");
const filter = document.querySelector("#filter");

function shown() {
  return rows ? [...rows.rows].filter((row) => !row.hidden) : [];
}

function move(step) {
  const all = shown();
  const at = all.findIndex((row) => row.classList.contains("here"));
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  all.forEach((row) => row.classList.toggle("here", row === next));
  next?.scrollIntoView({ block: "nearest" });
}

const choices = ["status", "method", "took", "since"].map((id) => document.getElementById(id));

function sift() {
  const words = filter.value.toLowerCase().split(/\s+/);
  const [status, method, took, since] = choices.map((choice) => choice.value);
  for (const row of rows.rows) {
    row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word))
      || (status && !row.classList.contains(`s${status}`))
      || (method && row.dataset.method !== method)
      || (took && Number(row.dataset.ms) < Number(took))
      || (since && Date.now() / 1000 - Number(row.dataset.began) > Number(since));
  }
}

async function follow() {
  if (document.visibilityState !== "visible") return;
  const answer = await fetch("/__carboy__/").catch(() => null);
  if (answer?.status === 401) location.reload();  // the server was restarted and has another PIN
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const body = fresh.querySelector("#rows");
  if (body.innerHTML === rows.dataset.last) return;
  const here = rows.querySelector(".here a")?.href;
  rows.innerHTML = rows.dataset.last = body.innerHTML;
  document.querySelector(".empty")?.remove();
  sift();
  shown().find((row) => row.querySelector("a").href === here)?.classList.add("here");
}

if (document.querySelector(".awaited")) setTimeout(() => location.reload(), 300);

// --- sending a request again

const replay = document.querySelector("#replay");
const explain = document.querySelector("#explain");

function tell(kind, ...told) {
  const output = replay.querySelector("output");
  output.className = kind;
  output.replaceChildren(...told);
}

function setCalls(on) {
  return fetch("/__carboy__/calls", {
    method: "POST", body: new URLSearchParams({ record: on ? "yes" : "no" }), redirect: "manual",
  });
}

// The response to the request of the form, and the token that names the request in the list.
async function sent() {
  const { method, target, headers, body } = replay.elements;
  const url = new URL(target.value, location.origin);
  if (url.origin !== location.origin) throw new Error("The request can only be sent to this server.");
  const token = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16)).join("-");
  const fields = headers.value.split("\n").filter((line) => line.trim()).map((line) => {
    const at = line.indexOf(":");
    if (at < 1) throw new Error(`A header needs a name and a colon: ${line}`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  const bare = method.value === "GET" || method.value === "HEAD";
  const answer = await fetch(url, {
    method: method.value, headers: [...fields, ["Carboy-Replay", token]],
    body: bare || !body.value ? undefined : body.value,
    redirect: "manual", cache: "no-store", credentials: "same-origin",
  });
  await answer.blob();
  return [answer, token];
}

// Calls `attempt` until it returns something, for a few seconds.
async function awaited(attempt) {
  for (let tries = 0; tries < 50; tries++) {
    const found = await attempt();
    if (found) return found;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  return null;
}

async function stored(token) {
  const all = await (await fetch("/__carboy__/requests.json")).json();
  return all.find((one) => one.replay === token);
}

async function send() {
  const [answer, token] = await sent();
  const status = answer.type === "opaqueredirect" ? "Redirect" : `${answer.status} ${answer.statusText}`;
  const kind = `s${String(answer.status)[0]}`;
  tell(kind, status);
  const found = await awaited(() => stored(token));
  if (!found) return;
  const link = document.createElement("a");
  link.href = `/__carboy__/${found.number}`;
  link.textContent = "Open this request";
  tell(kind, `${status} · `, link);
}

async function sendAndExplain() {
  const on = explain?.dataset.on === "true";
  if (!on) await setCalls(true);
  let found;
  try {
    const [, token] = await sent();
    found = await awaited(() => stored(token));
  } finally {
    if (!on) await setCalls(false);
  }
  const calls = found && `/__carboy__/${found.number}/calls`;
  const ready = calls && await awaited(async () => (await fetch(calls, { method: "HEAD" })).ok);
  if (!ready) throw new Error("The calls of the request were not recorded. Another profiler may be active.");
  location.href = calls;
}

async function begin(work) {
  tell("", "…");
  try {
    await work();
  } catch (problem) {
    tell("s5", problem.message);
  }
}

replay?.addEventListener("submit", (event) => {
  event.preventDefault();
  begin(event.submitter?.name === "explain" ? sendAndExplain : send);
});

explain?.addEventListener("click", () => {
  const { method, target, body } = replay.elements;
  const incomplete = `${target.value}${body.value}`.includes(replay.dataset.mask) || replay.dataset.whole === "false";
  if (incomplete) {
    replay.scrollIntoView();
    tell("s4", "Parts of the request are not stored. Complete it here, then send and explain it.");
  } else if (explain.dataset.safe === "true" || confirm(`Send ${method.value} ${target.value} again?`)) {
    begin(sendAndExplain);
  }
});

if (rows) {
  filter.addEventListener("input", sift);
  for (const choice of choices) choice.addEventListener("change", sift);
  setInterval(follow, 1500);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/" && filter) { event.preventDefault(); filter.focus(); }
  else if (event.key === "Enter") document.querySelector(".here a")?.click();
  else if (event.key === "Escape") document.querySelector(".back")?.click();
});
