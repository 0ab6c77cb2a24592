/** The keyboard, and the sheet that explains it. */

import { byId, h } from "./dom.js";
import * as list from "./list.js";
import * as panel from "./panel.js";
import { STATES, stateLook } from "./states.js";
import { shape } from "./dom.js";

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

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15 };

/** Listen for keys; `open(id)` is called when an open panel should move on. */
export function show(open) {
  byId("help").addEventListener("click", help);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("sheet").open || byId("page").hidden) return;
    const typing = event.target.matches?.("input, textarea, select");
    if (event.key === "Escape") leave(typing);
    else if (event.key === "ArrowDown" && event.target === byId("filter")) step(1, open, event);
    else if (typing) return;
    else if (event.key === "/") act(event, () => byId("filter").select());
    else if (event.key === "?") act(event, help);
    else if (event.key in STEPS && !scrolls(event.target)) step(STEPS[event.key], open, event);
  });
}

function act(event, what) {
  event.preventDefault();
  what();
}

// Inside the panel the arrows scroll what has the focus.
function scrolls(target) {
  return Boolean(target.closest?.(".details, details"));
}

function step(by, open, event) {
  event.preventDefault();
  const id = list.move(by);
  if (id && panel.isOpen()) open(id);
}

function leave(typing) {
  if (panel.isOpen()) panel.close();
  else if (typing) list.refocus();
}

function help() {
  const sheet = byId("sheet");
  const close = h("button", { type: "button", className: "quiet shut", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => sheet.close());
  sheet.replaceChildren(
    h("header", {}, h("h2", { id: "sheet-title" }, "Keys and words"), close),
    h("div", { className: "columns" },
      terms("Keys", KEYS, "kbd"), terms("Filter", WORDS, "code"),
      terms("States", Object.keys(STATES).map((state) => [state, stateLook(state).means]), "state")));
  sheet.showModal();
}

function terms(title, pairs, kind) {
  const term = (word) => {
    if (kind !== "state") return h(kind, {}, word);
    const look = stateLook(word);
    return h("span", { className: "state", "data-tone": look.tone }, shape(look.shape), look.word);
  };
  return h("section", {}, h("h3", {}, title),
    h("dl", { className: "terms" }, pairs.map(([word, means]) => h("div", {}, h("dt", {}, term(word)), h("dd", {}, means)))));
}
