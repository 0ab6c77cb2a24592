/** The queues: where work waits, how long, and whether anybody takes it. */

import { link } from "../../address.js";
import { h } from "../../dom.js";
import { byTrouble, consumers, orphaned } from "../../figures.js";
import { ago, many, rate, short, ticking } from "../../format.js";
import { alarm } from "../../parts/badge.js";
import { failed, loading, unknown } from "../../parts/blank.js";
import { card } from "../../parts/card.js";
import { Table } from "../../parts/table.js";

const COLUMNS = [
  { word: "Queue" },
  { word: "Depth", num: true, name: "n5" },
  { word: "Oldest", num: true, name: "n6", title: "How long the oldest message waits" },
  { word: "In", num: true, name: "n4", hide: true, title: "Tasks a minute that came" },
  { word: "Out", num: true, name: "n4", hide: true, title: "Tasks a minute that were taken" },
  { word: "Drain", num: true, name: "n6", title: "How long until it is empty, if both rates stay" },
];

export class Queues {
  #card = card("Queues", { href: link("queues") });
  #table = new Table("Queues", COLUMNS, { key: (queue) => queue.id, cells, mark: (row, queue) => row.toggleAttribute("data-alone", orphaned(queue)) });
  el = this.#card.el;

  draw({ live: { queues } }) {
    const found = byTrouble(queues.items.values());
    this.#show(queues.error ? failed(queues.error.message) : !queues.synced ? loading() : found.length ? this.#table.el : unknown("The monitor measures queues at the broker; nothing was measured yet."));
    this.#table.render(found);
    this.#card.note.textContent = found.length ? many(found.length, "queue") : "";
  }

  #show(node) {
    const before = this.#card.body.firstChild;
    if (before !== node && before?.innerHTML !== node.innerHTML) this.#card.body.replaceChildren(node);
  }
}

function cells(queue) {
  const alone = orphaned(queue);
  return [
    h("span", { className: "pair" }, h("a", { href: link("tasks", { q: `queue:${queue.name}` }), title: takers(queue) }, queue.name), alone ? alarm("No consumer", "No worker takes from this queue") : null),
    queue.depth === undefined ? null : short(queue.depth),
    queue.depth && queue.oldest_at ? `${queue.at_least ? "≥ " : ""}${ago(queue.oldest_at)}` : queue.depth === 0 ? "" : null,
    queue.in_per_minute === undefined ? null : rate(queue.in_per_minute),
    queue.out_per_minute === undefined ? null : rate(queue.out_per_minute),
    drain(queue),
  ];
}

function takers(queue) {
  const n = consumers(queue);
  return `${queue.name}: ${n === null ? "who takes from it is not known" : many(n, "consumer")}`;
}

function drain(queue) {
  if (queue.depth === 0) return "";
  if (queue.drain_seconds !== undefined) return ticking(queue.drain_seconds);
  return queue.in_per_minute > 0 && queue.in_per_minute >= queue.out_per_minute ? h("span", { className: "warm" }, "grows") : null;
}
