// Everything works without this file; it only adds comfort.
"use strict";

const root = document.documentElement;
const chosen = localStorage.getItem("theme");
if (chosen) root.dataset.theme = chosen;

document.addEventListener("DOMContentLoaded", () => {
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    localStorage.setItem("theme", next);
  });

  const editor = document.getElementById("editor");
  if (editor) enliven(editor);

  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing) {
      const search = document.querySelector(".search input");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });
});

function enliven(editor) {
  const body = editor.elements.body;
  const fit = () => {
    body.style.height = "auto";
    body.style.height = `${body.scrollHeight}px`;
  };
  body.addEventListener("input", fit);
  fit();

  // The sheet gets the chosen colour.
  for (const swatch of editor.querySelectorAll("[name=colour]")) {
    swatch.addEventListener("change", () => {
      editor.className = editor.className.replace(/glass-\w+/, `glass-${swatch.value}`);
    });
  }

  const picture = editor.elements.picture;
  const preview = document.getElementById("preview");
  picture.addEventListener("change", () => {
    const file = picture.files[0];
    if (!file) return;
    document.getElementById("picture-name").textContent = file.name;
    preview.src = URL.createObjectURL(file);
    preview.hidden = false;
  });

  // Ctrl+Enter saves the note.
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) editor.requestSubmit();
  });
}
