/** A share as a bar. The number stands beside it, so readers need not see it. */

import { h, mark } from "../dom.js";

/** @param {number} share 0 to 1 @param {string} tone */
export function bar(share, tone = "busy") {
  const it = h("span", { className: "meterbar", "aria-hidden": "true" }, h("i"));
  rebar(it, share, tone);
  return it;
}

/** Change a bar. */
export function rebar(it, share, tone = "busy") {
  mark(it, "data-tone", tone);
  it.firstElementChild.style.setProperty("width", `${Math.round(1_000 * Math.min(1, Math.max(0, share))) / 10}%`);
}
