/** The running tasks, the longest first. */

import { linkTo, linkWith } from "../../base/address.js";
import { h } from "../../base/dom.js";
import { formatElapsed, pluralize } from "../../base/format.js";
import { getElapsed, getPercent } from "../../base/metrics.js";
import { bar } from "../../parts/common/bar.js";
import { okState } from "../../parts/common/placeholders.js";
import { TableCard } from "../../parts/common/table-card.js";
import { taskName } from "../../parts/common/task-name.js";

const MAX_ROWS = 10;
const COLUMNS = [
  { label: "Task" },
  { label: "For", num: true, name: "n7" },
];

export class Running {
  #slow = new Set();
  #card = new TableCard("Running, longest first", COLUMNS, { key: (task) => task.id, cells: (task) => this.#cells(task) },
    () => okState("No running tasks", "The workers are idle."), { href: linkTo("tasks", { q: "state:STARTED" }) });
  el = this.#card.el;

  draw({ longest, active, suspects }) {
    this.#slow = new Set((suspects ?? []).map(({ task }) => task.id));
    const note = longest ? (active.truncated ? `of the newest ${longest.length}` : pluralize(longest.length, "task")) : "";
    this.#card.render((longest ?? []).slice(0, MAX_ROWS), { known: Boolean(longest), note });
  }

  #cells(task) {
    const percent = getPercent(task.progress);
    return [
      h("span", { className: "pair" }, h("a", { href: linkWith({ task: task.id }), title: task.worker ? `on ${task.worker}` : null }, taskName(task.name)),
        percent === null ? null : h("span", { className: "done", title: "As the task reported" }, bar(percent / 100), `${Math.floor(percent)} %`)),
      h("span", { className: this.#slow.has(task.id) ? "warn-text" : "" }, formatElapsed(getElapsed(task))),
    ];
  }
}
