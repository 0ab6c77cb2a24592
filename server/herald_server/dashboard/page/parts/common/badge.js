/** A label with icon and colour: each of the three is enough. */

import { h, icon } from "../../base/dom.js";
import { getStateLook, getWorkerLook } from "../../base/states.js";

/** @param {import("../../base/states.js").Look} look @param {string} [text] instead of its label */
export function badge(look, text = look.label) {
  return h("span", { className: "state", "data-tone": look.tone, title: look.means || null }, icon(look.icon), text);
}

export const stateBadge = (state) => badge(getStateLook(state));
export const workerBadge = (state) => badge(getWorkerLook(state));

/** A warning with a red background, for the most urgent. */
export const alarm = (text, title) => h("strong", { className: "alarm", title }, icon("warn"), text);
