/** Task types: what ran in the last day, how often it failed, and how long it took. */

import { link } from "../address.js";
import { h } from "../dom.js";
import { clock, count, many, percent, span } from "../format.js";
import { empty } from "../parts/blank.js";
import { Listing } from "../parts/listing.js";
import { named } from "../parts/name.js";
import { Table } from "../parts/table.js";

const WORRYING = 0.05; // a share of failures from which it is marked

const COLUMNS = [
  { word: "Task" },
  { word: "Type", name: "n20", title: "As the catalog calls it: what may be started by that name", hide: true },
  { word: "Begun", num: true, name: "n7", title: "Runs that began" },
  { word: "Succeeded", num: true, name: "n8", hide: true },
  { word: "Failed", num: true, name: "n6" },
  { word: "Share", num: true, name: "n6", title: "Failures among those that succeeded or failed" },
  { word: "Retried", num: true, name: "n6", hide: true },
  { word: "Lost", num: true, name: "n5", hide: true },
  { word: "p50", num: true, name: "n6", title: "Runtime that half of the successes did not exceed" },
  { word: "p95", num: true, name: "n6", hide: true },
  { word: "p99", num: true, name: "n6", hide: true },
];

export function show(place, visit) {
  const table = new Table("Task types", COLUMNS, { key: (one) => one.name, cells });
  const listing = new Listing("Task types", table, nothing, { className: "whole" });
  place.append(listing.el);
  let last = null;
  const draw = () => {
    const { value, error } = last ?? {};
    const found = value?.types ?? [];
    listing.render(found, { known: Boolean(last), error, again: () => asked.ask(), note: value ? said(value) : "" });
  };
  const asked = visit.ask("api/v1/types", (answer) => ((last = answer), draw()));
  return { refresh: draw };
}

const said = ({ types, since, whole }) => `${many(types.length, "name")} since ${clock(since)}${whole ? "" : "; of minutes with many names, the most frequent"}`;

function cells({ name, task_type: type, description, counts, failure_rate: share, runtime }) {
  const number = (word) => (counts[word] ? count(counts[word]) : "");
  return [
    h("a", { href: link("tasks", { q: `name:${name}` }), title: description }, named(name)),
    type ?? "",
    number("started"),
    number("succeeded"),
    counts.failed ? h("a", { href: link("tasks", { q: `name:${name} state:FAILURE` }) }, count(counts.failed)) : "",
    share === undefined ? null : h("span", { className: share > WORRYING ? "hot" : "" }, percent(share)),
    number("retried"),
    number("lost"),
    ...["p50", "p95", "p99"].map((point) => (runtime?.[point] === undefined ? null : span(runtime[point]))),
  ];
}

const nothing = () => empty("No task ran in the last day", "Names appear here with their first run.");
