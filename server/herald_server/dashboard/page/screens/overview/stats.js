/** The most important numbers, as tiles. */

import { linkTo } from "../../base/address.js";
import { h } from "../../base/dom.js";
import { formatAge, formatCount, formatElapsed, formatPercent, formatRate, formatShort, pluralize } from "../../base/format.js";
import { getElapsed } from "../../base/metrics.js";
import { StatTile } from "../../parts/common/stat-tile.js";
import { summarizeRecent } from "./mappers.js";

export class Stats {
  #workers = new StatTile("Workers", { href: linkTo("workers"), title: "Workers that are online, silent or draining" });
  #waiting = new StatTile("Waiting", { href: linkTo("queues"), title: "Messages in the queues, counted by the broker" });
  #running = new StatTile("Running", { href: linkTo("tasks", { q: "state:STARTED" }) });
  #done = new StatTile("Succeeded", { href: linkTo("tasks", { q: "state:SUCCESS" }), title: "Per minute, over the last five complete minutes" });
  #failed = new StatTile("Failed, 5 min", { href: linkTo("tasks", { q: "state:FAILURE", at: "5m" }), title: "Failures of the last five minutes, and their share of the ended tasks" });
  #stuck = new StatTile("Stuck", { href: linkTo("tasks", { q: "state:STARTED" }), title: "Tasks that run longer than 99 % of the runs with their name, or on a silent worker" });
  #lost = new StatTile("Lost", { href: linkTo("tasks", { q: "state:LOST" }), title: "Tasks with unknown outcome" });

  constructor() {
    const tiles = [this.#workers, this.#waiting, this.#running, this.#done, this.#failed, this.#stuck, this.#lost];
    this.el = h("section", { className: "tiles", "aria-label": "Statistics" }, tiles.map((tile) => tile.el));
  }

  draw(data) {
    const { live } = data;
    if (live.workers.synced) this.#workers.set(summarizeWorkers([...live.workers.items.values()]));
    this.#waiting.set(summarizeQueues(live));
    if (live.counts.synced) this.#running.set(summarizeRunning(live.count("STARTED"), data.longest));
    const value = data.figures?.value;
    if (value) this.#renderRecent(value);
    this.#stuck.set(summarizeStuck(data.suspects, value?.suspects_counts));
    const lost = live.count("LOST");
    if (lost !== null) this.#lost.set({ value: formatShort(lost), note: lost ? "unknown outcome" : "none", tone: lost ? "warn" : "" });
  }

  #renderRecent({ series, failing }) {
    const { succeeded, minutes, failed, share, usual } = summarizeRecent(series.bins);
    const odd = failing.filter((one) => one.unusual).length;
    const normal = Number.isFinite(usual) ? `hour before ${formatPercent(usual)}` : failed ? "no earlier data" : "none";
    this.#done.set(minutes ? { value: formatRate(succeeded / minutes), unit: "/min", note: `over ${minutes} min` } : { value: null, note: "no complete minute yet" });
    this.#failed.set({ value: formatShort(failed), unit: failed ? formatPercent(share) : "", note: odd ? `${pluralize(odd, "name")} unusual` : normal, tone: odd ? "bad" : "" });
  }
}

function summarizeWorkers(all) {
  const online = all.filter((worker) => worker.state === "online");
  const silent = all.filter((worker) => worker.state === "silent").length;
  const offline = all.filter((worker) => worker.state === "offline").length;
  const slots = online.reduce((n, worker) => n + (worker.slots ?? NaN), 0);
  const active = online.reduce((n, worker) => n + (worker.active ?? 0), 0);
  const load = Number.isFinite(slots) && online.length ? `${formatCount(active)} of ${formatCount(slots)} slots busy` : `${formatCount(active)} busy`;
  const expected = all.length - offline;
  if (!all.length) return { value: "0", note: "none known", tone: "bad" };
  if (!online.length) return { value: "0", unit: `of ${formatCount(all.length)} online`, note: silent ? `${silent} silent` : "all offline", tone: "bad" };
  return { value: formatCount(online.length), unit: `of ${formatCount(expected)} online`, note: silent ? `${silent} silent` : load, tone: silent ? "warn" : "" };
}

function summarizeQueues({ queues }) {
  const known = [...(queues.synced ? queues.items.values() : [])].filter((queue) => queue.depth !== undefined);
  if (!known.length) return { value: null, note: "not measured yet" };
  const depth = known.reduce((n, queue) => n + queue.depth, 0);
  const oldest = known.filter((queue) => queue.depth && queue.oldest_at).map((queue) => queue.oldest_at).sort()[0];
  return { value: formatShort(depth), unit: `in ${pluralize(known.length, "queue")}`, note: oldest ? `oldest ${formatAge(oldest)}` : depth ? "" : "all empty" };
}

function summarizeRunning(n, longest) {
  const first = longest?.[0];
  return { value: formatShort(n), note: n && first ? `longest ${formatElapsed(getElapsed(first))}` : n ? "" : "none" };
}

// The list is cut; the server has counted all.
function summarizeStuck(found, counted) {
  if (!found) return { value: null, note: "not known yet" };
  const n = (reason) => Math.max(counted?.[reason] ?? 0, found.filter(({ why }) => why === reason).length);
  const [long, silent] = [n("long"), n("silent")];
  const parts = [long ? `${formatCount(long)} slow` : "", silent ? `${formatCount(silent)} silent` : ""].filter(Boolean);
  return { value: formatShort(long + silent), note: parts.join(", ") || "none beyond p99", tone: silent ? "bad" : long ? "warn" : "" };
}
