/** The dialog that explains shortcuts, the filter syntax and states. */

import { byId, h } from "../../base/dom.js";
import { SCREENS } from "../../base/routes.js";
import { getStateLook, STATES } from "../../base/states.js";
import { stateBadge } from "../common/badge.js";

const KEYS = [
  ["/", "focus the search"],
  ["↓ ↑ or j k", "select the next or previous task"],
  ["Enter", "open the task"],
  ["x", "select the task for an action, or deselect it"],
  ["h", "hold the list still, or let it go on"],
  ["Ctrl K", "go to a task, screen, worker or queue"],
  ["Esc", "close the panel or dialog"],
  ["?", "show this help"],
];
const FILTERS = [
  ["12345", "in name, arguments or error, or the beginning of the id; words are AND"],
  ["failed, running, waiting …", "tasks in these states; state:failed,lost is either"],
  ["name:billing worker:w01 queue:mail", "parts of names suffice; * is any text"],
  ["kwargs.order_id:12345", "one argument; args.0: the first"],
  ["error:Timeout", "text in the exception or traceback"],
  ["took:>10s wait:>1m", "runtime; time in the queue"],
  ["last:10m since:02:00", "when it was received"],
  ["-state:SUCCESS", "all but these"],
  ["sort:-runtime", "another order; a click on a heading sorts too"],
];

/** Open the dialog. */
export function open() {
  const dialog = byId("help-dialog");
  const close = h("button", { type: "button", className: "quiet close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => dialog.close());
  const shortcuts = Object.values(SCREENS).filter(({ key }) => key).map(({ key, label }) => [`g ${key}`, label]);
  dialog.replaceChildren(
    h("div", { className: "head" }, h("h2", { id: "help-dialog-title" }, "Keyboard and search"), close),
    h("div", { className: "columns" },
      renderTerms("Keys", [...KEYS, ...shortcuts], "kbd"), renderTerms("Search", FILTERS, "code"),
      renderTerms("States", Object.keys(STATES).map((state) => [state, getStateLook(state).means]), "state")));
  dialog.showModal();
}

function renderTerms(title, pairs, kind) {
  const renderTerm = (term) => (kind === "state" ? stateBadge(term) : h(kind, {}, term));
  return h("section", {}, h("h3", {}, title),
    h("dl", { className: "terms" }, pairs.map(([term, means]) => h("div", {}, h("dt", {}, renderTerm(term)), h("dd", {}, means)))));
}
