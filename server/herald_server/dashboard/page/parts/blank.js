/** What stands where there is nothing to show: loading, empty, failed, not known. */

import { h, shape } from "../dom.js";

/** Lines that breathe while an answer is on its way. */
export function loading(lines = 6) {
  return h("div", { className: "blank bones", role: "status", "aria-label": "Loading" },
    Array.from({ length: lines }, () => h("span", { className: "bone" })));
}

/** There is nothing, and that is a fact. `sentences` are texts or nodes. */
export function empty(heading, ...sentences) {
  return h("div", { className: "blank" }, h("h3", {}, heading), sentences.map((each) => h("p", {}, each)));
}

/** Nothing is wrong where something could be. */
export function fine(heading, ...sentences) {
  const it = empty(heading, ...sentences);
  it.dataset.tone = "good";
  it.firstElementChild.prepend(shape("check"));
  return it;
}

/** Herald does not know; a number would be invented. */
export function unknown(sentence) {
  return h("div", { className: "blank", "data-tone": "quiet" }, h("h3", {}, shape("query"), "Not known yet"), h("p", {}, sentence));
}

/** A question that was not answered; `again` asks once more. */
export function failed(sentence, again) {
  const button = again ? h("button", { type: "button" }, "Try again") : null;
  button?.addEventListener("click", again);
  return h("div", { className: "blank", "data-tone": "bad", role: "alert" }, h("h3", {}, shape("warn"), "No answer"), h("p", {}, sentence), button);
}
