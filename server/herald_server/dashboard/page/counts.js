/** How many tasks are in each state; a state is a button that filters. */

import { byId, h, mark, say, shape } from "./dom.js";
import { count } from "./format.js";
import { STATES } from "./states.js";

const tiles = new Map();

/** Lay out the tiles; `pick(state)` is called with a state, or null for all. */
export function show(pick) {
  byId("counts").append(tile(null, { word: "All", shape: null, tone: "ink", means: "every task that is remembered" }, pick));
  for (const [state, look] of Object.entries(STATES)) byId("counts").append(tile(state, look, pick));
}

/** Show the numbers of the `counts` collection. */
export function render(/** @type {Map<string, {count: number}>} */ items) {
  let all = 0;
  for (const { count: n } of items.values()) all += n;
  put(null, all);
  for (const state of Object.keys(STATES)) put(state, items.get(state)?.count ?? 0);
}

/** Press the tiles that the filter asks for. */
export function press(/** @type {string[]} */ states) {
  for (const [state, { button }] of tiles) {
    const on = state === null ? states.length === 0 : states.includes(state);
    mark(button, "aria-pressed", on);
  }
}

function put(state, n) {
  const { button, number } = tiles.get(state);
  say(number, count(n));
  mark(button, "data-none", n ? null : "");
}

function tile(state, look, pick) {
  const number = h("span", { className: "number" }, "–");
  const word = h("span", { className: "label" }, look.shape ? shape(look.shape) : null, look.word);
  const button = h("button", { type: "button", className: "tile", title: `${look.word}: ${look.means}`, "data-tone": look.tone }, number, word);
  button.addEventListener("click", () => pick(state));
  tiles.set(state, { button, number });
  return button;
}
