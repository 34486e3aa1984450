"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const flame = document.getElementById("flame"), told = document.getElementById("told");
const search = document.getElementById("search"), route = document.getElementById("route");
const whole = document.getElementById("whole"), hint = told.textContent;
const LEAST = 0.0005;  // of the width: narrower calls are not drawn
const nodes = data.nodes.map(([parent, call, own, total]) => {
  const [name, label, file, line, colour] = data.frames[call];
  return { parent, name, label, file, line, colour, own, total, children: [], depth: 0 };
});
for (const node of nodes) {
  node.parent = nodes[node.parent] || null;
  if (node.parent) { node.parent.children.push(node); node.depth = node.parent.depth + 1; }
}
const all = nodes[0];
let root = all, chosen = null, wanted = "";

function seconds(count) { return (count / data.rate).toFixed(2) + " s"; }
function percent(count, of) { return (of ? 100 * count / of : 0).toFixed(1) + " %"; }
function matches(node) { return node.file && node.label.toLowerCase().includes(wanted); }
function about(node) {
  const parts = [`${seconds(node.total)} (${percent(node.total, all.total)})`];
  if (root !== all) parts.push(`${percent(node.total, root.total)} of ${root.name}`);
  if (node.own) parts.push(`${seconds(node.own)} in itself`);
  return parts.join(", ");
}
function bar(node, left, width, above) {
  const made = node.bar = document.createElement("button");
  made.tabIndex = -1;
  made.textContent = width * flame.clientWidth > 20 ? node.name : "";
  made.title = `${node.label}\n${about(node)}`;
  made.style.cssText = `left:${100 * left}%;width:calc(${100 * width}% - 1px);` +
    `top:${6 + node.depth * 18}px;background:${node.colour}`;
  made.classList.toggle("narrow", width * flame.clientWidth < 12);
  made.classList.toggle("above", above);
  made.classList.toggle("found", wanted !== "" && Boolean(matches(node)));
  made.classList.toggle("chosen", node === chosen);
  made.onclick = () => { choose(node); zoom(node); };
  made.onmouseenter = () => tell(node);
  flame.append(made);
}
function draw() {
  flame.replaceChildren();
  for (const node of nodes) node.bar = null;
  for (let node = root.parent; node; node = node.parent) bar(node, 0, 1, true);
  const waiting = [[root, 0]];
  while (waiting.length) {
    const [node, left] = waiting.pop(), width = root.total ? node.total / root.total : 1;
    if (width < LEAST) continue;
    bar(node, left, width, false);
    let at = left;
    for (const each of node.children) { waiting.push([each, at]); at += each.total / (root.total || 1); }
  }
  flame.classList.toggle("searched", wanted !== "");
  whole.disabled = root === all;
}
function zoom(node) {
  root = node;
  const top = node.depth === 0 ? null : ancestors(node).at(-2) || node;
  route.value = top ? top.name : "";
  draw();
}
function ancestors(node) {  // from the node to the top
  const found = [];
  for (let each = node; each; each = each.parent) found.push(each);
  return found;
}
function tell(node) {
  told.replaceChildren();
  if (!node) { told.textContent = wanted ? hits() : hint; return; }
  const name = document.createElement("b");
  name.textContent = node.name;
  told.append(name, ` ${node.file ? `${node.file}:${node.line}` : ""} · ${about(node)}`);
}
function choose(node) {
  chosen?.bar?.classList.remove("chosen");
  chosen = node;
  chosen?.bar?.classList.add("chosen");
  chosen?.bar?.scrollIntoView({ block: "nearest" });
  tell(node);
}
function hits() {  // a recursive function counts once
  let count = 0;
  const waiting = [root];
  while (waiting.length) {
    const node = waiting.pop();
    if (matches(node)) count += node.total;
    else waiting.push(...node.children);
  }
  return `${search.value.trim()}: ${seconds(count)}, ${percent(count, root.total)} of ${root.name}`;
}
function find(text) { search.value = text; wanted = text.trim().toLowerCase(); draw(); tell(null); }
search.oninput = () => find(search.value);
route.onchange = () => {
  const node = route.value ? all.children.find(each => each.name === route.value) : all;
  choose(null); zoom(node || all); tell(null);
};
whole.onclick = () => { choose(null); zoom(all); tell(null); };
document.querySelectorAll("#functions tbody tr").forEach(row => {
  row.onclick = () => find(row.lastChild.textContent);
});
document.querySelectorAll("#routes tbody tr").forEach(row => {
  row.onclick = () => { route.value = row.lastChild.textContent; route.onchange(); };
});
function step(key) {
  const node = chosen || root, beside = node.parent ? node.parent.children : [node];
  const at = beside.indexOf(node);
  return { ArrowUp: node.parent, ArrowDown: node.children[0], ArrowLeft: beside[at - 1], ArrowRight: beside[at + 1] }[key];
}
flame.tabIndex = 0;
flame.onmouseleave = () => tell(chosen);
flame.onkeydown = event => {
  if (event.key.startsWith("Arrow")) {
    const next = step(event.key);
    if (next) choose(next);
  } else if (event.key === "Enter" && chosen) zoom(chosen);
  else return;
  event.preventDefault();
};
document.addEventListener("keydown", event => {
  if (event.key === "Escape") { find(""); whole.onclick(); }
  else if (event.key === "/" && document.activeElement !== search) { search.focus(); event.preventDefault(); }
});
document.getElementById("tools").hidden = false;
document.body.classList.add("live");
flame.classList.add("live");
let drawn = 0;
addEventListener("resize", () => { clearTimeout(drawn); drawn = setTimeout(draw, 100); });
draw();
