/** A card that holds one table, or says why there is none. */

import { failed, loading } from "./blank.js";
import { card } from "./card.js";

export class Listing {
  #table;
  #none;
  #shown = "";
  #card;

  /**
   * @param {string} title
   * @param {import("./table.js").Table} table
   * @param {() => Node} none what stands where there is nothing to list
   * @param {Parameters<typeof card>[1]} [options]
   */
  constructor(title, table, none, options = {}) {
    [this.#table, this.#none] = [table, none];
    this.#card = card(title, options);
    this.el = this.#card.el;
  }

  /** Show these rows; `known` is false as long as nobody answered. `note` is beside the title. */
  render(items, { known = true, error = null, again = undefined, note = "" } = {}) {
    this.#table.render(items);
    this.#card.note.textContent = note;
    if (error) this.#show("error", () => failed(error.message, again));
    else if (!known) this.#show("wait", () => loading());
    else if (items.length) this.#show("table", () => this.#table.el);
    else this.#show("none", this.#none);
  }

  #show(key, make) {
    if (key !== this.#shown) this.#card.body.replaceChildren(make());
    this.#shown = key;
  }
}
