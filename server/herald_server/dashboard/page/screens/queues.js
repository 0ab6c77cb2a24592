/** Queues: where work waits, how long, who takes it, and when it will be done. */

import { link } from "../address.js";
import { h, soon } from "../dom.js";
import { byTrouble, doubtful, orphaned, partly } from "../figures.js";
import { ago, count, many, rate, ticking } from "../format.js";
import { alarm } from "../parts/badge.js";
import { unknown } from "../parts/blank.js";
import { Listing } from "../parts/listing.js";
import { named } from "../parts/name.js";
import { Table } from "../parts/table.js";

const COLUMNS = [
  { word: "Queue" },
  { word: "Depth", num: true, name: "n7", title: "Messages that wait" },
  { word: "Taken", num: true, name: "n7", title: "Messages that workers hold and have not confirmed", hide: true },
  { word: "Oldest", num: true, name: "n7", title: "How long the oldest message waits" },
  { word: "In /min", num: true, name: "n7", hide: true },
  { word: "Out /min", num: true, name: "n7", hide: true },
  { word: "Drain", num: true, name: "n7", title: "How long until it is empty, if both rates stay" },
  { word: "Consumers", hide: true },
  { word: "Measured", num: true, name: "n8", hide: true },
];

export function show(place, visit) {
  const { queues } = visit.live;
  const table = new Table("Queues", COLUMNS, {
    key: (queue) => queue.id, cells, mark: (row, queue) => row.toggleAttribute("data-alone", orphaned(queue)),
  });
  const listing = new Listing("Queues", table, unmeasured, { className: "whole" });
  place.append(listing.el);
  const draw = () => {
    const found = byTrouble(queues.items.values());
    const depth = found.reduce((n, queue) => n + (queue.depth ?? 0), 0);
    listing.render(found, { known: queues.synced, error: queues.error, note: found.length ? `${many(depth, "message")} in ${many(found.length, "queue")}` : "" });
  };
  visit.onEnd(visit.live.observe(draw));
  visit.tick(draw);
  return { refresh: () => soon(draw) };
}

function cells(queue) {
  return [
    h("span", { className: "pair" }, h("a", { href: link("tasks", { q: `queue:${queue.name}` }) }, named(queue.name)), orphaned(queue) ? alarm("No consumer", "No worker takes from this queue") : null),
    queue.depth === undefined ? null : count(queue.depth),
    queue.unacked === undefined ? null : count(queue.unacked),
    queue.depth && queue.oldest_at ? `${queue.at_least ? "≥ " : ""}${ago(queue.oldest_at)}` : queue.depth === 0 ? "" : null,
    queue.in_per_minute === undefined ? null : rate(queue.in_per_minute),
    queue.out_per_minute === undefined ? null : rate(queue.out_per_minute),
    drain(queue),
    takers(queue),
    queue.as_of ? ago(queue.as_of) : null,
  ];
}

function drain({ depth, drain_seconds: seconds, in_per_minute: into, out_per_minute: out }) {
  if (depth === 0) return "";
  if (Number.isFinite(seconds)) return ticking(seconds);
  return into > out ? h("span", { className: "warm" }, "grows") : null;
}

function takers(queue) {
  const { consumers, consumer_count: number } = queue;
  if (doubtful(queue)) return h("span", { className: "warm", title: partly(queue) }, partly(queue));
  if (consumers?.length) return h("span", { title: consumers.join(", ") }, consumers.join(", "));
  if (consumers) return h("span", { className: "hot" }, "none");
  return number === undefined ? null : many(number, "consumer");
}

const unmeasured = () => unknown("The monitor measures queues at the broker; nothing was measured yet.");
