// Tables. Roles are written out: on a phone rows are shown as cards, and a changed display must not take the table away from screen readers.
import { el } from "./dom.js";

// The first cell names its row; a cell is {title, content, number}.
export function row(cells) {
  return el("tr", { role: "row" }, cells.map((cell, place) => (place === 0
    ? el("th", { scope: "row", role: "rowheader" }, cell.content)
    : el("td", { role: "cell", "data-name": cell.title, class: cell.number ? "number" : null }, cell.content))));
}

// A title is text, or {text, number}.
function table({ caption, titles, rows, attributes = {} }) {
  return el("table", { role: "table", ...attributes }, el("caption", {}, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, titles.map((title) => el("th", { scope: "col", role: "columnheader", class: title.number ? "number" : null }, title.text ?? title)))),
    el("tbody", { role: "rowgroup" }, rows));
}

// Rows of items by columns {title, cell(item), number}.
export const rowOf = (item, columns) => row(columns.map((column) => ({ title: column.title, content: column.cell(item), number: column.number })));

export function tableOf(items, columns, { caption, attributes }) {
  return table({ caption, titles: columns.map((column) => ({ text: column.title, number: column.number })), rows: items.map((item) => rowOf(item, columns)), attributes });
}
