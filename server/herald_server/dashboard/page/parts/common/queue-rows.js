/** The rows and cells that both tables of queues share. */

import { h } from "../../base/dom.js";
import { formatAge, formatElapsed, formatRate } from "../../base/format.js";
import { hasNoConsumer } from "../../base/metrics.js";
import { alarm } from "./badge.js";
import { unknownState } from "./placeholders.js";

/** Return the rows of a table of queues; those without a consumer are marked. */
export const queueRows = (cells) => ({
  key: (queue) => queue.id, cells, decorate: (row, queue) => row.toggleAttribute("data-no-consumer", hasNoConsumer(queue)),
});

/** The link to the tasks of a queue, with an alarm if it has no consumer. */
export const queueName = (queue, link) =>
  h("span", { className: "pair" }, link, hasNoConsumer(queue) ? alarm("No consumer", "No worker consumes this queue") : null);

/** The waiting time, both rates, and the time until the queue is empty. */
export function queueTimes({ depth, oldest_at: oldest, at_least: isLowerBound, in_per_minute: into, out_per_minute: out, drain_seconds: drain }) {
  const empty = depth === 0 ? "" : null; // null: not known
  const grows = into > out ? h("span", { className: "warn-text" }, "grows") : null;
  return [
    depth && oldest ? `${isLowerBound ? "≥ " : ""}${formatAge(oldest)}` : empty,
    into === undefined ? null : formatRate(into),
    out === undefined ? null : formatRate(out),
    empty ?? (Number.isFinite(drain) ? formatElapsed(drain) : grows),
  ];
}

export const queuesUnknown = () => unknownState("The monitor has not measured the queues of the broker yet.");
