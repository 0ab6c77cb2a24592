/** A table with keyed rows: cells that stay the same are not touched. */

import { h, setText } from "../../base/dom.js";
import { zone } from "../../base/format.js";

/**
 * @typedef {{label: string, name?: string, num?: boolean, title?: string, hide?: boolean}} Column
 *   `num`: right-aligned; `hide`: not on a phone.
 * @typedef {{key: (item: any) => string, cells: (item: any, old: any) => (Node|string|number|null)[],
 *            decorate?: (row: HTMLElement, item: any) => void}} Rows
 */
export class Table {
  #rows = new Map();
  #body = h("tbody", { role: "rowgroup" });
  #columns;
  #stamp = "";
  #options;

  /** @param {string} label @param {Column[]} columns @param {Rows} options */
  constructor(label, columns, options) {
    [this.#columns, this.#options] = [columns, options];
    // With roles of its own it stays a table where the style makes cards of its rows.
    this.el = h("table", { className: "rows", role: "table", "aria-label": label },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) => h("th", { scope: "col", role: "columnheader", className: getClasses(column), title: column.title }, column.label)))), this.#body);
  }

  /** Show these items, in this order; a row is drawn again if its item, the second or `stamp` differs. */
  render(items, stamp = "") {
    this.#stamp = `${Math.floor(Date.now() / 1_000)} ${zone.utc} ${stamp}`;
    const wanted = new Set(items.map(this.#options.key));
    for (const [key, row] of this.#rows) if (!wanted.has(key)) this.#rows.delete(key) && row.tr.remove();
    items.forEach((item, k) => {
      const row = this.#row(item);
      this.#fill(row, item);
      if (this.#body.children[k] !== row.tr) this.#body.insertBefore(row.tr, this.#body.children[k] ?? null);
    });
  }

  #row(item) {
    const key = this.#options.key(item);
    const known = this.#rows.get(key);
    if (known) return known;
    const cells = this.#columns.map((column, k) => (k ? h("td", { role: "cell", "data-label": column.label, className: getClasses(column) }) : h("th", { scope: "row", role: "rowheader", className: getClasses(column) })));
    const row = { tr: h("tr", { role: "row", "data-key": key }, cells), cells, shown: [] };
    this.#rows.set(key, row);
    return row;
  }

  // Nodes are compared by their content, so that focus and selection stay.
  #fill(row, item) {
    if (row.item === item && row.stamp === this.#stamp) return;
    [row.item, row.stamp] = [item, this.#stamp];
    this.#options.cells(item, row).forEach((value, k) => {
      const cell = row.cells[k];
      if (!(value instanceof Node)) return setText(cell, value === null || value === undefined ? "–" : String(value));
      const content = value.outerHTML ?? value.textContent;
      if (row.shown[k] === content) return;
      row.shown[k] = content;
      cell.replaceChildren(value);
    });
    this.#options.decorate?.(row.tr, item);
  }
}

const getClasses = ({ num, name = "", hide }) => [name, num ? "num" : "", hide ? "wide" : ""].filter(Boolean).join(" ");
