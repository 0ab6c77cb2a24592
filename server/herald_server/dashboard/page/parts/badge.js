/** A word with its shape and colour: of the three, each is enough. */

import { h, mark, shape } from "../dom.js";
import { stateLook, workerLook } from "../states.js";

/** @param {import("../states.js").Look} look @param {string} [text] instead of its word */
export function badge(look, text = look.word) {
  return h("span", { className: "state", "data-tone": look.tone, title: look.means || null }, shape(look.shape), text);
}

export const stateBadge = (state) => badge(stateLook(state));
export const workerBadge = (state) => badge(workerLook(state));

/** Turn a badge into another, only where it differs. */
export function rebadge(it, look, text = look.word) {
  if (it.dataset.tone === look.tone && it.textContent === text) return;
  mark(it, "data-tone", look.tone);
  mark(it, "title", look.means || null);
  it.replaceChildren(shape(look.shape), text);
}

/** A warning that stands out: red ground, for what must be seen first. */
export const alarm = (text, title) => h("strong", { className: "alarm", title }, shape("warn"), text);
