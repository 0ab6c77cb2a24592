/** The sheet that explains keys, filter words and states. */

import { byId, h } from "../dom.js";
import { SCREENS } from "../screens.js";
import { STATES, stateLook } from "../states.js";
import { stateBadge } from "./badge.js";

const KEYS = [
  ["/", "write a filter"],
  ["↓ ↑ or j k", "move through the tasks"],
  ["Enter", "open the task"],
  ["Esc", "close what is open"],
  ["?", "show this"],
];
const WORDS = [
  ["name:reports.*", "names that fit; * is anything, ? one character"],
  ["state:FAILURE,RETRY", "one of several"],
  ["worker:*@host queue:mail", "both"],
  ["root: parent: group: tag:", "tasks that belong together"],
  ["id:4f1c…", "whole ids"],
  ["report", "any name with that in it"],
];

/** Open it. */
export function show() {
  const sheet = byId("sheet");
  const close = h("button", { type: "button", className: "quiet shut", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => sheet.close());
  const goes = Object.values(SCREENS).filter(({ key }) => key).map(({ key, word }) => [`g ${key}`, word]);
  sheet.replaceChildren(
    h("div", { className: "head" }, h("h2", { id: "sheet-title" }, "Keys and words"), close),
    h("div", { className: "columns" },
      terms("Keys", [...KEYS, ...goes], "kbd"), terms("Filter", WORDS, "code"),
      terms("States", Object.keys(STATES).map((state) => [state, stateLook(state).means]), "state")));
  sheet.showModal();
}

function terms(title, pairs, kind) {
  const term = (word) => (kind === "state" ? stateBadge(word) : h(kind, {}, word));
  return h("section", {}, h("h3", {}, title),
    h("dl", { className: "terms" }, pairs.map(([word, means]) => h("div", {}, h("dt", {}, term(word)), h("dd", {}, means)))));
}
