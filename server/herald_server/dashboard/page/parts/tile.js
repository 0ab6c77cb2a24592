/** A number that is read from across the room, with its name and a line below. */

import { h, mark, say, shape } from "../dom.js";

const SIGNS = { good: "check", warn: "warn", bad: "warn", quiet: "ring" };

/** One tile; `set` shows a value. Without a value it says that it is not known. */
export class Tile {
  #value = h("span", { className: "number" });
  #unit = h("span", { className: "unit" });
  #sign = h("span", { className: "sign" });
  #note = h("span", { className: "note" });

  constructor(label, { href, title } = {}) {
    const lines = [h("span", { className: "label" }, label), h("span", { className: "value" }, this.#value, this.#unit), h("span", { className: "under" }, this.#sign, this.#note)];
    this.el = href ? h("a", { className: "tile", href, title }, lines) : h("div", { className: "tile", title }, lines);
    this.set({ value: null, note: "not known yet" });
  }

  /** @param {{value: string|null, unit?: string, note?: string, tone?: string}} shown */
  set({ value, unit = "", note = "", tone = "" }) {
    mark(this.el, "data-none", value === null ? "" : null);
    mark(this.el, "data-tone", tone || null);
    say(this.#value, value ?? "–");
    say(this.#unit, value === null ? "" : unit);
    say(this.#note, note);
    this.#sign.replaceChildren(...(SIGNS[tone] && note ? [shape(SIGNS[tone])] : []));
  }
}
