/** Task types of the last day: runs, failures, runtimes. */

import { linkTo } from "../base/address.js";
import { h } from "../base/dom.js";
import { formatCount, formatDuration, formatPercent, formatTime, pluralize } from "../base/format.js";
import { showView } from "../base/view/hooks.js";
import { emptyState } from "../parts/common/placeholders.js";
import { TableCard } from "../parts/common/table-card.js";
import { taskName } from "../parts/common/task-name.js";
import { Slower } from "./types/slower.js";

const HIGH_SHARE = 0.05; // a higher share of failures is marked

const COLUMNS = [
  { label: "Task" },
  { label: "Type", name: "n20", title: "Its type in the catalog, by which it can be started", hide: true },
  { label: "Started", num: true, name: "n7", title: "Runs that started" },
  { label: "Succeeded", num: true, name: "n8", hide: true },
  { label: "Failed", num: true, name: "n6" },
  { label: "Share", num: true, name: "n6", title: "Failures among the runs that succeeded or failed" },
  { label: "Retried", num: true, name: "n6", hide: true },
  { label: "Lost", num: true, name: "n5", hide: true },
  { label: "p50", num: true, name: "n8", title: "Median runtime of the successes, to about 9 %" },
  { label: "p95", num: true, name: "n8", hide: true },
  { label: "p99", num: true, name: "n8", hide: true },
];

export function show(place, context) {
  const tableCard = new TableCard("Task types", COLUMNS, { key: (one) => one.name, cells }, createPlaceholder, { className: "whole" });
  showView(place, context, Slower);
  place.append(tableCard.el);
  let last = null;
  const draw = () => {
    const { value, error } = last ?? {};
    const found = value?.types ?? [];
    tableCard.render(found, { known: Boolean(last), error, retry: () => request.send(), note: value ? formatNote(value) : "" });
  };
  const request = context.poll("api/v1/types", (answer) => ((last = answer), draw()));
  return { refresh: draw };
}

const formatNote = ({ types, since, whole }) => `${pluralize(types.length, "name")} since ${formatTime(since)}${whole ? "" : "; only the most frequent names of busy minutes"}`;

function cells({ name, task_type: type, description, counts, failure_rate: share, runtime }) {
  const number = (key) => (counts[key] ? formatCount(counts[key]) : "");
  return [
    h("a", { href: linkTo("type", {}, name), title: description }, taskName(name)),
    type ?? "",
    number("started"),
    number("succeeded"),
    counts.failed ? h("a", { href: linkTo("tasks", { q: `name:${name} state:FAILURE` }) }, formatCount(counts.failed)) : "",
    share === undefined ? null : h("span", { className: share > HIGH_SHARE ? "bad-text" : "" }, formatPercent(share)),
    number("retried"),
    number("lost"),
    ...["p50", "p95", "p99"].map((point) => (runtime?.[point] === undefined ? null : `≈ ${formatDuration(runtime[point])}`)),
  ];
}

const createPlaceholder = () => emptyState("No task ran in the last day", "Task names appear here with their first run.");
