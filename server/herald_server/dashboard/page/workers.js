/** The workers: who is there, how busy, and when last heard of. */

import { byId, everySecond, h, mark, say, shape } from "./dom.js";
import { ago, count, stamp } from "./format.js";
import { WORKERS, workerLook } from "./states.js";

const rows = new Map();
const body = h("tbody", { role: "rowgroup" });
const empty = h("p", { className: "empty" });
let pickWorker = () => {};

/** Lay out the table; `pick(hostname)` is called when a worker is clicked. */
export function show(pick) {
  pickWorker = pick;
  const head = ["Worker", "Active", "Processed", "Heartbeat"].map((word, k) =>
    h("th", { scope: "col", role: "columnheader", className: k ? "num" : "" }, word));
  byId("workers").append(
    h("table", { className: "crew", role: "table", "aria-labelledby": "workers-title" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), body),
    empty);
  say(empty, "Asking who is there …");
  everySecond(ages);
}

/** Show the `workers` collection. */
export function render(items) {
  const sorted = [...items.values()].sort(urgency);
  for (const [id, row] of rows) if (!items.has(id)) rows.delete(id) && row.tr.remove();
  sorted.forEach((worker, k) => {
    const row = rows.get(worker.id) ?? make(worker.id);
    fill(row, worker);
    if (body.children[k] !== row.tr) body.insertBefore(row.tr, body.children[k] ?? null);
  });
  say(byId("workers-word"), summary(sorted));
  empty.hidden = sorted.length > 0;
  say(empty, "No worker has been heard of. A worker speaks when it is started with events on: celery -A proj worker -E. “herald doctor” tells what is missing.");
}

function urgency(a, b) {
  const order = Object.keys(WORKERS);
  return order.indexOf(a.state) - order.indexOf(b.state) || (a.id < b.id ? -1 : 1);
}

function summary(workers) {
  const online = workers.filter((worker) => worker.state === "online").length;
  return workers.length ? `${count(online)} of ${count(workers.length)} online` : "";
}

function make(id) {
  const name = h("button", { type: "button", className: "plain" });
  const word = h("span", { className: "state" });
  const [active, done, beat] = ["active", "processed", "heard"].map((label) => h("td", { role: "cell", className: "num", "data-label": label }));
  const tr = h("tr", { role: "row" }, h("td", { role: "cell" }, name, word), active, done, beat);
  const row = { tr, name, word, active, done, beat, state: "", worker: null };
  name.addEventListener("click", () => pickWorker(row.worker.hostname ?? id));
  rows.set(id, row);
  return row;
}

function fill(row, worker) {
  row.worker = worker;
  const host = worker.hostname ?? worker.id;
  say(row.name, host);
  mark(row.name, "title", `${host}\n${worker.software ?? ""} pid ${worker.pid ?? "?"}\nShow its tasks`);
  if (row.state !== worker.state) {
    const look = workerLook((row.state = worker.state));
    row.word.replaceChildren(shape(look.shape), look.word);
    mark(row.word, "data-tone", look.tone);
    mark(row.word, "title", look.means);
  }
  say(row.active, worker.active === undefined ? "–" : count(worker.active));
  say(row.done, worker.processed === undefined ? "–" : count(worker.processed));
  mark(row.beat, "title", stamp(worker.last_heartbeat_at));
  say(row.beat, ago(worker.last_heartbeat_at));
}

function ages() {
  for (const { beat, worker } of rows.values()) say(beat, ago(worker.last_heartbeat_at));
}
