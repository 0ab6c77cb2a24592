/** Workers: state, load, queues, heartbeats; and dismissing one that is gone. */

import { linkTo } from "../base/address.js";
import { button, h, schedule, setText } from "../base/dom.js";
import { formatAge, formatBusy, formatCount, formatLag, formatTime } from "../base/format.js";
import { dismissWorker } from "../base/http.js";
import { sortWorkers } from "../base/states.js";
import { workerBadge } from "../parts/common/badge.js";
import { noWorkers } from "../parts/common/placeholders.js";
import { TableCard } from "../parts/common/table-card.js";

const SKEWED_MS = 2_000; // a larger difference makes the times of this worker misleading

const DISMISSIBLE = new Set(["silent", "offline"]); // states that can be dismissed

const COLUMNS = [
  { label: "Worker", name: "n20" },
  { label: "State", name: "n9" },
  { label: "Running", num: true, name: "n7", title: "Running tasks, of its slots where they are known" },
  { label: "Done", num: true, name: "n9", title: "Tasks since it was started", hide: true },
  { label: "Load", num: true, name: "n11", title: "Load average of its machine over 1, 5 and 15 minutes", hide: true },
  { label: "Queues", hide: true },
  { label: "Events", name: "n7", title: "How its events reach Herald: by the outbox, which loses none, or by the broker", hide: true },
  { label: "Software", name: "n16", hide: true },
  { label: "Release", name: "n9", title: "The version of the project that it says it runs (HERALD_RELEASE)", hide: true },
  { label: "Clock", num: true, name: "n7", title: "Difference of its clock from the monitor's", hide: true },
  { label: "Up since", num: true, name: "n9", hide: true },
  { label: "Heard", num: true, name: "n6", title: "Time since its last heartbeat" },
  { label: "Actions", name: "n16" },
];

export function show(place, context) {
  const { workers, queues } = context.live;
  const answer = h("p", { className: "answer", role: "status" });
  let confirming = null; // the worker whose dismissal must be confirmed
  let mixed = false; // some workers have the outbox
  const tableCard = new TableCard("Workers", COLUMNS, { key: (worker) => worker.id, cells: (worker) => [...cells(worker, queues, mixed), renderActions(worker)] }, noWorkers, { className: "whole" });
  place.append(tableCard.el);
  const draw = () => {
    const found = sortWorkers(workers.items.values());
    const online = found.filter((worker) => worker.state === "online").length;
    mixed = found.some((worker) => worker.outbox);
    const without = mixed ? found.filter((worker) => isWithoutOutbox(worker)).length : 0;
    const notes = [`${formatCount(online)} of ${formatCount(found.length)} online`, without && `${formatCount(without)} without the outbox`];
    tableCard.render(found, { known: workers.synced, error: workers.error, stamp: `${confirming} ${mixed}`, note: found.length ? notes.filter(Boolean).join(", ") : "" });
  };
  function confirm(id) {
    confirming = id;
    draw();
  }
  async function dismiss(id) {
    confirm(null);
    const message = await dismissWorker(id).then((reply) => `${id}: ${reply.message}`, (error) => error.message);
    setText(answer, message);
    if (!answer.isConnected) tableCard.el.before(answer);
  }
  function renderActions({ id, state }) {
    if (!DISMISSIBLE.has(state)) return null;
    if (confirming !== id) return button("Dismiss …", () => confirm(id), "small");
    return h("span", { className: "pair" }, button("Yes, dismiss", () => dismiss(id), "small danger"), button("No", () => confirm(null), "small"));
  }
  context.onEnd(context.live.observe(draw));
  context.everySecond(draw);
  return { refresh: () => schedule(draw) };
}

const isWithoutOutbox = ({ outbox, state }) => !outbox && state === "online";

function cells(worker, queues, mixed) {
  const skew = Math.abs(worker.clock_skew_ms ?? 0);
  return [
    h("a", { href: linkTo("worker", {}, worker.hostname) }, worker.hostname),
    workerBadge(worker.state),
    formatBusy(worker),
    worker.processed === undefined ? null : formatCount(worker.processed),
    worker.loadavg?.map((one) => one.toFixed(1)).join(" ") ?? null,
    describeQueues(worker, queues),
    renderWay(worker, mixed),
    worker.software ?? null,
    worker.release ?? null,
    worker.clock_skew_ms === undefined ? null : h("span", { className: skew > SKEWED_MS ? "bad-text" : "" }, `${worker.clock_skew_ms < 0 ? "−" : "+"}${formatLag(Math.abs(worker.clock_skew_ms))}`),
    worker.started_at ? formatTime(worker.started_at) : null,
    formatAge(worker.last_heartbeat_at),
  ];
}

function renderWay(worker, mixed) {
  if (worker.outbox) return "outbox";
  const forgotten = mixed && isWithoutOutbox(worker);
  return forgotten ? h("span", { className: "warn-text", title: "Start it with -I herald_worker.auto" }, "broker") : "broker";
}

// Consumers are known by queue; without a measurement they are unknown, not none.
function describeQueues({ hostname }, queues) {
  const found = [...queues.items.values()].filter((queue) => queue.consumers?.includes(hostname)).map((queue) => queue.name);
  return found.length ? found.sort().join(", ") : null;
}
