/** The queues, those without a consumer first: depth, waiting time, rates. */

import { linkTo } from "../../base/address.js";
import { h } from "../../base/dom.js";
import { formatShort, pluralize } from "../../base/format.js";
import { countConsumers, sortByProblem } from "../../base/metrics.js";
import { queueName, queueRows, queuesUnknown, queueTimes } from "../../parts/common/queue-rows.js";
import { taskName } from "../../parts/common/task-name.js";
import { TableCard } from "../../parts/common/table-card.js";

const COLUMNS = [
  { label: "Queue" },
  { label: "Depth", num: true, name: "n5" },
  { label: "Oldest", num: true, name: "n6", title: "Waiting time of the oldest message" },
  { label: "In", num: true, name: "n5", hide: true, title: "Messages a minute that arrived" },
  { label: "Out", num: true, name: "n5", hide: true, title: "Messages a minute that were consumed" },
  { label: "Drain", num: true, name: "n6", title: "Time until the queue is empty, at the present rates" },
];

const MAX_ROWS = 10; // as many as fit

export class Queues {
  #card = new TableCard("Queues", COLUMNS, queueRows(cells), queuesUnknown, { href: linkTo("queues") });
  el = this.#card.el;

  draw({ live: { queues } }) {
    const found = sortByProblem(queues.items.values());
    this.#card.render(found.slice(0, MAX_ROWS), { known: queues.synced, error: queues.error, note: found.length ? pluralize(found.length, "queue") : "" });
  }
}

function cells(queue) {
  const consumers = countConsumers(queue);
  const title = `${queue.name}: ${consumers === null ? "consumers not known" : pluralize(consumers, "consumer")}`;
  return [
    queueName(queue, h("a", { href: linkTo("tasks", { q: `queue:${queue.name}` }), title }, taskName(queue.name))),
    queue.depth === undefined ? null : formatShort(queue.depth),
    ...queueTimes(queue),
  ];
}
