/** The number of tasks by state; each state is a button that filters the list. */

import { h, icon, setAttr, setText } from "../../base/dom.js";
import { formatCount, formatShort } from "../../base/format.js";
import { STATES } from "../../base/states.js";

const ALL = { label: "All", icon: null, tone: "ink", means: "every stored task" };

export class StateCounts {
  #tiles = new Map();

  /** `onPick(state)` runs with a state, or null for all. */
  constructor(onPick) {
    const looks = [[null, ALL], ...Object.entries(STATES)];
    this.el = h("div", { className: "counts", role: "group", "aria-label": "Tasks by state; a state filters the list" }, looks.map(([state, look]) => this.#tile(state, look, onPick)));
  }

  /** Show the numbers. */
  render(/** @type {import("../../base/context/live.js").Live} */ live) {
    for (const [state, { button, number }] of this.#tiles) {
      const n = state === null ? live.total : live.count(state);
      setText(number, n === null ? "–" : n < 1e6 ? formatCount(n) : formatShort(n)); // no digit may be cut
      setAttr(button, "data-empty", n ? null : "");
    }
  }

  /** Mark the states of the filter as pressed. */
  setPressed(/** @type {string[]} */ states) {
    for (const [state, { button }] of this.#tiles) setAttr(button, "aria-pressed", state === null ? states.length === 0 : states.includes(state));
  }

  #tile(state, look, onPick) {
    const number = h("span", { className: "number" }, "–");
    const text = h("span", { className: "label" }, look.icon ? icon(look.icon) : null, look.label);
    const button = h("button", { type: "button", className: "count", title: `${look.label}: ${look.means}`, "data-tone": look.tone }, number, text);
    button.addEventListener("click", () => onPick(state));
    this.#tiles.set(state, { button, number });
    return button;
  }
}
