"use strict";
const root = document.documentElement;
const kept = {
  get() { try { return localStorage.getItem("kdrun-theme"); } catch { return null; } },
  set(theme) { try { localStorage.setItem("kdrun-theme", theme); } catch { /* not kept */ } },
};
if (kept.get()) root.dataset.theme = kept.get();
document.querySelector(".theme").addEventListener("click", () => {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
  kept.set(root.dataset.theme);
});

// A click sorts the rows by a column: numbers by value, texts by alphabet, empty cells last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") === "descending" || (
      !head.hasAttribute("aria-sort") && head.classList.contains("words"));
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [row.cells[column], row]);
    rows.sort(([left], [right]) => {
      const a = left.dataset.value, b = right.dataset.value;
      if (a === undefined && b === undefined) {
        const order = left.textContent.localeCompare(right.textContent, undefined, {numeric: true});
        return up ? order : -order;
      }
      if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
      return up ? a - b : b - a;
    });
    body.append(...rows.map(([, row]) => row));
  }));
}
