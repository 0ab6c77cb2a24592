/** Failing task names, the most unusual first, with their usual failure rate. */

import { linkTo } from "../../base/address.js";
import { h } from "../../base/dom.js";
import { formatCount, formatPercent } from "../../base/format.js";
import { alarm } from "../../parts/common/badge.js";
import { okState } from "../../parts/common/placeholders.js";
import { TableCard } from "../../parts/common/table-card.js";
import { taskName } from "../../parts/common/task-name.js";

const COLUMNS = [
  { label: "Task" },
  { label: "Failed", num: true, name: "n5" },
  { label: "Share", num: true, name: "n5", title: "Of the tasks that ended in the last five minutes" },
  { label: "Usual", num: true, name: "n6", title: "Over the day before" },
];

const MAX_ROWS = 10;

export class Failures {
  #card = new TableCard("Failing, last 5 min", COLUMNS, { key: (one) => one.name, cells },
    () => okState("No failures", "No task failed in the last five minutes."), { href: linkTo("tasks", { q: "state:FAILURE", at: "5m" }) });
  el = this.#card.el;

  draw({ figures, attention }) {
    this.#card.render((figures?.value?.failing ?? []).slice(0, MAX_ROWS), { known: Boolean(figures), error: figures?.error, retry: () => attention.send() });
  }
}

function cells({ name, failed, rate, normal, unusual }) {
  return [
    h("span", { className: "pair" }, h("a", { href: linkTo("tasks", { q: `name:${name} state:FAILURE`, at: "5m" }) }, taskName(name)), unusual ? alarm("Unusual", "Statistically unusual (p < 0.01)") : null),
    h("span", { className: unusual ? "bad-text" : "" }, formatCount(failed)),
    formatPercent(rate),
    normal === undefined ? null : formatPercent(normal),
  ];
}
