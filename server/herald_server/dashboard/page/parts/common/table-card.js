/** A card with a table, or with the reason why there is none. */

import { card } from "./card.js";
import { errorState, skeleton } from "./placeholders.js";
import { Table } from "./table.js";

export class TableCard {
  #table;
  #createEmptyState;
  #shown = "";
  #card;

  /**
   * @param {string} title
   * @param {import("./table.js").Column[]} columns
   * @param {import("./table.js").Rows} rows
   * @param {() => Node} createEmptyState shown where there are no rows
   * @param {Parameters<typeof card>[1]} [options]
   */
  constructor(title, columns, rows, createEmptyState, options = {}) {
    this.#table = new Table(title, columns, rows);
    this.#createEmptyState = createEmptyState;
    this.#card = card(title, options);
    this.el = this.#card.el;
  }

  /** Show these rows; `known` is false before the first answer. `note` is beside the title;
   *  `stamp` is what rows depend on besides their items. */
  render(items, { known = true, error = null, retry = undefined, note = "", stamp = "" } = {}) {
    this.#table.render(items, stamp);
    this.#card.note.textContent = note;
    if (error) this.#show("error", () => errorState(error.message, retry));
    else if (!known) this.#show("wait", () => skeleton());
    else if (items.length) this.#show("table", () => this.#table.el);
    else this.#show("none", this.#createEmptyState);
  }

  #show(key, make) {
    if (key !== this.#shown) this.#card.body.replaceChildren(make());
    this.#shown = key;
  }
}
