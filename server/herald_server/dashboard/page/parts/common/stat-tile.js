/** A large number with its label and a note below. */

import { h, icon, setAttr, setText } from "../../base/dom.js";

const ICONS = { good: "check", warn: "warn", bad: "warn", quiet: "ring" };

/** One tile; without a value it shows that it is not known. */
export class StatTile {
  #value = h("span", { className: "number" });
  #unit = h("span", { className: "unit" });
  #icon = h("span", { className: "tile-icon" });
  #note = h("span", { className: "note" });

  constructor(label, { href, title } = {}) {
    const lines = [h("span", { className: "label" }, label), h("span", { className: "value" }, this.#value, this.#unit), h("span", { className: "under" }, this.#icon, this.#note)];
    this.el = href ? h("a", { className: "tile", href, title }, lines) : h("div", { className: "tile", title }, lines);
    this.set({ value: null, note: "not known yet" });
  }

  /** @param {{value: string|null, unit?: string, note?: string, tone?: string}} shown */
  set({ value, unit = "", note = "", tone = "" }) {
    setAttr(this.el, "data-empty", value === null ? "" : null);
    setAttr(this.el, "data-tone", tone || null);
    setText(this.#value, value ?? "–");
    setText(this.#unit, value === null ? "" : unit);
    setText(this.#note, note);
    this.#icon.replaceChildren(...(ICONS[tone] && note ? [icon(ICONS[tone])] : []));
  }
}
