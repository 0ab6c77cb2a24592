/** Placeholders of a list or a value: loading, empty, failed, not known. */

import { button, h, icon } from "../../base/dom.js";

/** Animated lines while data is loading. */
export function skeleton(lines = 6) {
  return h("div", { className: "placeholder skeleton", role: "status", "aria-label": "Loading" },
    Array.from({ length: lines }, () => h("span", { className: "skeleton-line" })));
}

/** Nothing exists, and that is known. `sentences` are texts or nodes. */
export function emptyState(heading, ...sentences) {
  return h("div", { className: "placeholder" }, h("h3", {}, heading), sentences.map((each) => h("p", {}, each)));
}

/** No problem exists where one could be. */
export function okState(heading, ...sentences) {
  const element = emptyState(heading, ...sentences);
  element.dataset.tone = "good";
  element.firstElementChild.prepend(icon("check"));
  return element;
}

/** The value is not known. */
export function unknownState(sentence) {
  return h("div", { className: "placeholder", "data-tone": "quiet" }, h("h3", {}, icon("query"), "Not known yet"), h("p", {}, sentence));
}

/** A request failed; `retry` repeats it. */
export function errorState(sentence, retry) {
  return h("div", { className: "placeholder", "data-tone": "bad", role: "alert" }, h("h3", {}, icon("warn"), "No answer"), h("p", {}, sentence), retry ? button("Try again", retry) : null);
}

/** No worker is known, and how to start one that is. */
export const noWorkers = () => emptyState("No workers known", "Start workers so that their events reach Herald: celery -A proj worker -I herald_worker.auto. Run “herald doctor” to find the cause.");
