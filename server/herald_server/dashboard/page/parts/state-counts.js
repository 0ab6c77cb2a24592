/** How many tasks are in each state; a state is a button that filters. */

import { h, mark, say, shape } from "../dom.js";
import { count, short } from "../format.js";
import { STATES } from "../states.js";

const ALL = { word: "All", shape: null, tone: "ink", means: "every task that is remembered" };

export class StateCounts {
  #tiles = new Map();

  /** `pick(state)` is called with a state, or null for all. */
  constructor(pick) {
    const looks = [[null, ALL], ...Object.entries(STATES)];
    this.el = h("div", { className: "counts", role: "group", "aria-label": "Tasks by state; a state filters the list" }, looks.map(([state, look]) => this.#tile(state, look, pick)));
  }

  /** Show the numbers. */
  render(/** @type {import("../live.js").Live} */ live) {
    for (const [state, { button, number }] of this.#tiles) {
      const n = state === null ? live.total : live.count(state);
      say(number, n === null ? "–" : n < 1e6 ? count(n) : short(n)); // the tile must not cut a digit
      mark(button, "data-none", n ? null : "");
    }
  }

  /** Press what the filter asks for. */
  press(/** @type {string[]} */ states) {
    for (const [state, { button }] of this.#tiles) mark(button, "aria-pressed", state === null ? states.length === 0 : states.includes(state));
  }

  #tile(state, look, pick) {
    const number = h("span", { className: "number" }, "–");
    const word = h("span", { className: "label" }, look.shape ? shape(look.shape) : null, look.word);
    const button = h("button", { type: "button", className: "count", title: `${look.word}: ${look.means}`, "data-tone": look.tone }, number, word);
    button.addEventListener("click", () => pick(state));
    this.#tiles.set(state, { button, number });
    return button;
  }
}
