/** Queues: depth, waiting time, rates and consumers. */

import { linkTo } from "../base/address.js";
import { button, h, schedule, setText } from "../base/dom.js";
import { formatAge, formatCount, formatTime, pluralize } from "../base/format.js";
import { describeUnanswered, mayBeStranded, sortByProblem } from "../base/metrics.js";
import { pauseQueue, resumeQueue } from "../parts/orders/queue-pause.js";
import { queueName, queueRows, queuesUnknown, queueTimes } from "../parts/common/queue-rows.js";
import { TableCard } from "../parts/common/table-card.js";
import { taskName } from "../parts/common/task-name.js";

const COLUMNS = [
  { label: "Queue" },
  { label: "Depth", num: true, name: "n7", title: "Waiting messages" },
  { label: "Unacked", num: true, name: "n7", title: "Messages that workers have not acknowledged", hide: true },
  { label: "Oldest", num: true, name: "n7", title: "Waiting time of the oldest message" },
  { label: "In /min", num: true, name: "n7", hide: true },
  { label: "Out /min", num: true, name: "n7", hide: true },
  { label: "Drain", num: true, name: "n7", title: "Time until the queue is empty, at the present rates" },
  { label: "Consumers", hide: true },
  { label: "Measured", num: true, name: "n8", hide: true },
  { label: "Actions", name: "n16" },
];

export function show(place, context) {
  const { queues } = context.live;
  const answer = h("p", { className: "answer", role: "status" });
  let confirming = null; // the queue whose pause must be confirmed
  const queueCard = new TableCard("Queues", COLUMNS, queueRows((queue) => [...cells(queue), renderActions(queue)]), queuesUnknown, { className: "whole" });
  place.append(queueCard.el);
  queueCard.el.addEventListener("click", openPurge);
  const draw = () => {
    const found = sortByProblem(queues.items.values());
    const depth = found.reduce((n, queue) => n + (queue.depth ?? 0), 0);
    queueCard.render(found, { known: queues.synced, error: queues.error, stamp: `${confirming}`, note: found.length ? `${pluralize(depth, "message")} in ${pluralize(found.length, "queue")}` : "" });
  };
  function confirm(name) {
    confirming = name;
    draw();
  }
  async function act(name, order) {
    confirm(null);
    setText(answer, await order(name));
    if (!answer.isConnected) queueCard.el.before(answer);
  }
  function renderActions(queue) {
    const { name, paused } = queue;
    if (confirming === name) return h("span", { className: "pair" }, button("Yes, pause it", () => act(name, pauseQueue), "small danger"), button("No", () => confirm(null), "small"));
    const order = paused ? button("Resume", () => act(name, resumeQueue), "small") : button("Pause …", () => confirm(name), "small");
    order.setAttribute("aria-label", `${paused ? "Resume" : "Pause"} ${name}`);
    return h("span", { className: "pair" }, order, renderPurge(queue));
  }
  context.onEnd(context.live.observe(draw));
  context.everySecond(draw);
  return { refresh: () => schedule(draw) };
}

async function openPurge(event) {
  const { purge: queue, depth } = event.target.closest("[data-purge]")?.dataset ?? {};
  if (queue === undefined) return;
  const { openPurgeSheet } = await import("../parts/orders/purge-sheet.js");
  openPurgeSheet({ queue, depth: Number(depth) });
}

function renderPurge({ name, depth }) {
  if (!depth) return null;
  return h("button", { type: "button", className: "small", "data-purge": name, "data-depth": depth, "aria-label": `Purge ${name}` }, "Purge");
}

function cells(queue) {
  return [
    queueName(queue, h("a", { href: linkTo("tasks", { q: `queue:${queue.name}` }) }, taskName(queue.name))),
    queue.depth === undefined ? null : formatCount(queue.depth),
    queue.unacked === undefined ? null : formatCount(queue.unacked),
    ...queueTimes(queue),
    renderConsumers(queue),
    queue.as_of ? formatAge(queue.as_of) : null,
  ];
}

function renderConsumers(queue) {
  const { consumers, consumer_count: number, paused } = queue;
  if (paused && !consumers?.length) return h("span", { title: `Since ${formatTime(paused.since)}` }, `paused by ${paused.who}, ${formatAge(paused.since)}`);
  if (mayBeStranded(queue)) return h("span", { className: "warn-text", title: describeUnanswered(queue) }, describeUnanswered(queue));
  if (consumers?.length) return h("span", { title: consumers.join(", ") }, consumers.join(", "));
  if (consumers) return h("span", { className: "bad-text" }, "none");
  return number === undefined ? null : pluralize(number, "consumer");
}
