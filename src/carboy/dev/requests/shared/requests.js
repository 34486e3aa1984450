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

function sift() {
  const words = filter.value.toLowerCase().split(/\s+/);
  for (const row of rows.rows) {
    row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
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

if (rows) {
  filter.addEventListener("input", sift);
  setInterval(follow, 1500);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/" && filter) { event.preventDefault(); filter.focus(); }
  else if (event.key === "Enter") document.querySelector(".here a")?.click();
  else if (event.key === "Escape") document.querySelector(".back")?.click();
});
