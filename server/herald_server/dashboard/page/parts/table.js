/** A table whose rows keep their identity: what stays the same is not touched. */

import { h, say } from "../dom.js";

/**
 * @typedef {{word: string, name?: string, num?: boolean, title?: string, hide?: boolean}} Column
 *   `num` stands right; `hide`: not on a phone.
 * @typedef {{key: (item: any) => string, cells: (item: any, old: any) => (Node|string|number|null)[],
 *            mark?: (row: HTMLElement, item: any) => void}} Rows
 */
export class Table {
  #rows = new Map();
  #body = h("tbody");
  #columns;
  #how;

  /** @param {string} label @param {Column[]} columns @param {Rows} how */
  constructor(label, columns, how) {
    [this.#columns, this.#how] = [columns, how];
    this.el = h("table", { className: "rows", "aria-label": label },
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", className: look(column), title: column.title }, column.word)))), this.#body);
  }

  /** Show these, in this order. */
  render(items) {
    const wanted = new Set(items.map(this.#how.key));
    for (const [key, row] of this.#rows) if (!wanted.has(key)) this.#rows.delete(key) && row.tr.remove();
    items.forEach((item, k) => {
      const row = this.#row(item);
      this.#fill(row, item);
      if (this.#body.children[k] !== row.tr) this.#body.insertBefore(row.tr, this.#body.children[k] ?? null);
    });
  }

  #row(item) {
    const key = this.#how.key(item);
    const known = this.#rows.get(key);
    if (known) return known;
    const cells = this.#columns.map((column, k) => (k ? h("td", { className: look(column) }) : h("th", { scope: "row", className: look(column) })));
    const row = { tr: h("tr", { "data-key": key }, cells), cells, shown: [] };
    this.#rows.set(key, row);
    return row;
  }

  // Nodes are compared by what they say, so that focus and selection stay.
  #fill(row, item) {
    this.#how.cells(item, row).forEach((value, k) => {
      const cell = row.cells[k];
      if (!(value instanceof Node)) return say(cell, value === null || value === undefined ? "–" : String(value));
      const said = value.outerHTML ?? value.textContent;
      if (row.shown[k] === said) return;
      row.shown[k] = said;
      cell.replaceChildren(value);
    });
    this.#how.mark?.(row.tr, item);
  }
}

const look = ({ num, name = "", hide }) => [name, num ? "num" : "", hide ? "wide" : ""].filter(Boolean).join(" ");
