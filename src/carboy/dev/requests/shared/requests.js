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

async function send(event) {
  event.preventDefault();
  const told = replay.querySelector("output");
  const { method, target, headers, body } = replay.elements;
  told.className = "";
  told.textContent = "…";
  const began = Date.now() / 1000 - 1;
  try {
    const url = new URL(target.value, location.origin);
    if (url.origin !== location.origin) throw new Error("The request can only be sent to this server.");
    const fields = headers.value.split("\n").filter((line) => line.trim()).map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    });
    const bare = method.value === "GET" || method.value === "HEAD";
    const answer = await fetch(url, {
      method: method.value, headers: fields, body: bare || !body.value ? undefined : body.value,
      redirect: "manual", cache: "no-store", credentials: "same-origin",
    });
    await answer.blob();
    told.className = `s${String(answer.status)[0]}`;
    told.textContent = answer.type === "opaqueredirect" ? "Redirect" : `${answer.status} ${answer.statusText}`;
    for (let tries = 0; tries < 10; tries++) {
      const all = await (await fetch("/__carboy__/requests.json")).json();
      const found = all.find((one) => one.began >= began && one.method === method.value && one.target.split("?")[0] === url.pathname);
      if (found) {
        const link = document.createElement("a");
        link.href = `/__carboy__/${found.number}`;
        link.textContent = "Open this request";
        told.append(" · ", link);
        return;
      }
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
  } catch (problem) {
    told.className = "s5";
    told.textContent = problem.message;
  }
}

if (replay) replay.addEventListener("submit", send);

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
