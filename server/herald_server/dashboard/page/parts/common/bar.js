/** A share as a bar, hidden from screen readers: the number stands beside it. */

import { h } from "../../base/dom.js";

/** @param {number} share 0 to 1 @param {string} tone */
export function bar(share, tone = "busy") {
  const fill = h("i");
  fill.style.setProperty("width", `${Math.round(1_000 * Math.min(1, Math.max(0, share))) / 10}%`);
  return h("span", { className: "progress-bar", "aria-hidden": "true", "data-tone": tone }, fill);
}
