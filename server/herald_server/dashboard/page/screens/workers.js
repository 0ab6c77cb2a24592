/** Workers: who is there, how busy, what each takes from, since when silent; dismissing one. */

import { link } from "../address.js";
import { button, h, say, soon } from "../dom.js";
import { ago, busy, clock, count, lagging } from "../format.js";
import { workerBadge } from "../parts/badge.js";
import { empty } from "../parts/blank.js";
import { Listing } from "../parts/listing.js";
import { Table } from "../parts/table.js";
import { dismiss } from "../rest.js";
import { WORKERS } from "../states.js";

const SKEWED_MS = 2_000; // beyond, times of this worker mislead whoever reads them

const GONE = new Set(["silent", "offline"]); // those that may be dismissed

const COLUMNS = [
  { word: "Worker", name: "n20" },
  { word: "State", name: "n9" },
  { word: "Running", num: true, name: "n7", title: "Tasks that it runs now, of its slots where they are known" },
  { word: "Done", num: true, name: "n9", title: "Tasks since it was started", hide: true },
  { word: "Load", num: true, name: "n11", title: "Of its machine, over 1, 5 and 15 minutes", hide: true },
  { word: "Takes from", hide: true },
  { word: "Software", name: "n16", hide: true },
  { word: "Clock", num: true, name: "n7", title: "How far its clock is from ours", hide: true },
  { word: "Up since", num: true, name: "n9", hide: true },
  { word: "Heard", num: true, name: "n6", title: "Since its last heartbeat" },
  { word: "Actions", name: "n16" },
];

export function show(place, visit) {
  const { workers, queues } = visit.live;
  const answer = h("p", { className: "answer", role: "status" });
  let asking = null; // the worker that somebody is about to dismiss
  const table = new Table("Workers", COLUMNS, { key: (worker) => worker.id, cells: (worker) => [...cells(worker, queues), acts(worker)] });
  const listing = new Listing("Workers", table, nobody, { className: "whole" });
  place.append(listing.el);
  const draw = () => {
    const found = [...workers.items.values()].sort(urgency);
    const online = found.filter((worker) => worker.state === "online").length;
    listing.render(found, { known: workers.synced, error: workers.error, note: found.length ? `${count(online)} of ${count(found.length)} online` : "" });
  };
  function ask(id) {
    asking = id;
    draw();
  }
  async function order(id) {
    ask(null);
    const said = await dismiss(id).then(({ message }) => `${id}: ${message}`, (error) => error.message);
    say(answer, said);
    if (!answer.isConnected) listing.el.before(answer);
  }
  function acts({ id, state }) {
    if (!GONE.has(state)) return null;
    if (asking !== id) return button("Dismiss …", () => ask(id), "small");
    return h("span", { className: "pair" }, button("Yes, dismiss", () => order(id), "small danger"), button("No", () => ask(null), "small"));
  }
  visit.onEnd(visit.live.observe(draw));
  visit.tick(draw);
  return { refresh: () => soon(draw) };
}

function cells(worker, queues) {
  const off = Math.abs(worker.clock_skew_ms ?? 0) > SKEWED_MS;
  return [
    h("a", { href: link("tasks", { q: `worker:${worker.hostname}` }) }, worker.hostname),
    workerBadge(worker.state),
    busy(worker),
    worker.processed === undefined ? null : count(worker.processed),
    worker.loadavg?.map((one) => one.toFixed(1)).join(" ") ?? null,
    takes(worker, queues),
    worker.software ?? null,
    worker.clock_skew_ms === undefined ? null : h("span", { className: off ? "hot" : "" }, `${worker.clock_skew_ms < 0 ? "−" : "+"}${lagging(Math.abs(worker.clock_skew_ms))}`),
    worker.started_at ? clock(worker.started_at) : null,
    ago(worker.last_heartbeat_at),
  ];
}

// Whom a queue is taken by is known of the queue; unknown is not none.
function takes({ hostname }, queues) {
  const found = [...queues.items.values()].filter((queue) => queue.consumers?.includes(hostname)).map((queue) => queue.name);
  return found.length ? found.sort().join(", ") : null;
}

const nobody = () => empty("No worker has been heard of",
  "A worker speaks when it is started with events on: celery -A proj worker -E. “herald doctor” tells what is missing.");

const order = Object.keys(WORKERS);
const urgency = (a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.id < b.id ? -1 : 1);
