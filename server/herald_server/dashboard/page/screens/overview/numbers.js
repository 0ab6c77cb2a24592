/** The numbers that are read first. */

import { link } from "../../address.js";
import { h } from "../../dom.js";
import { running } from "../../figures.js";
import { ago, count, many, percent, rate, short, ticking } from "../../format.js";
import { Tile } from "../../parts/tile.js";
import { lately } from "./answers.js";

export class Numbers {
  #workers = new Tile("Workers", { href: link("workers"), title: "Workers that live" });
  #waiting = new Tile("Waiting", { href: link("queues"), title: "Messages in the queues, as the broker counts them" });
  #running = new Tile("Running", { href: link("tasks", { q: "state:STARTED" }) });
  #done = new Tile("Succeeded", { href: link("tasks", { q: "state:SUCCESS" }), title: "A minute, over the last five whole minutes" });
  #failed = new Tile("Failed, 5 min", { href: link("tasks", { q: "state:FAILURE" }), title: "Failures of the last five minutes, and their share of what ended" });
  #stuck = new Tile("Stuck", { href: link("tasks", { q: "state:STARTED" }), title: "Running longer than 99 of 100 of their kind did, or held by a worker that is silent" });
  #lost = new Tile("Lost", { href: link("tasks", { q: "state:LOST" }), title: "Nobody knows what became of them" });

  constructor() {
    const tiles = [this.#workers, this.#waiting, this.#running, this.#done, this.#failed, this.#stuck, this.#lost];
    this.el = h("section", { className: "tiles", "aria-label": "Numbers" }, tiles.map((tile) => tile.el));
  }

  draw(watch) {
    const { live } = watch;
    if (live.workers.synced) this.#workers.set(workers([...live.workers.items.values()]));
    this.#waiting.set(waiting(live));
    if (live.counts.synced) this.#running.set(busy(live.count("STARTED"), watch.longest));
    const value = watch.figures?.value;
    if (value) this.#minutes(value);
    this.#stuck.set(stuck(watch.suspects, value?.suspects_counts));
    const lost = live.count("LOST");
    if (lost !== null) this.#lost.set({ value: short(lost), note: lost ? "fate unknown" : "none", tone: lost ? "warn" : "" });
  }

  #minutes({ series, failing }) {
    const { succeeded, minutes, failed, share, usual } = lately(series.bins);
    const odd = failing.filter((one) => one.unusual).length;
    const normal = Number.isFinite(usual) ? `hour before ${percent(usual)}` : failed ? "nothing to compare with yet" : "none";
    this.#done.set(minutes ? { value: rate(succeeded / minutes), unit: "/min", note: `over ${minutes} min` } : { value: null, note: "no whole minute yet" });
    this.#failed.set({ value: short(failed), unit: failed ? percent(share) : "", note: odd ? `${many(odd, "kind")} unusual` : normal, tone: odd ? "bad" : "" });
  }
}

function workers(all) {
  const online = all.filter((worker) => worker.state === "online");
  const silent = all.filter((worker) => worker.state === "silent").length;
  const gone = all.filter((worker) => worker.state === "offline").length;
  const slots = online.reduce((n, worker) => n + (worker.slots ?? NaN), 0);
  const active = online.reduce((n, worker) => n + (worker.active ?? 0), 0);
  const load = Number.isFinite(slots) && online.length ? `${count(active)} of ${count(slots)} slots busy` : `${count(active)} busy`;
  const expected = all.length - gone;
  if (!all.length) return { value: "0", note: "none was heard of", tone: "bad" };
  if (!online.length) return { value: "0", unit: `of ${count(all.length)} online`, note: silent ? `${silent} silent` : "all gone", tone: "bad" };
  return { value: count(online.length), unit: `of ${count(expected)} online`, note: silent ? `${silent} silent` : load, tone: silent ? "bad" : "" };
}

function waiting({ queues }) {
  const known = [...(queues.synced ? queues.items.values() : [])].filter((queue) => queue.depth !== undefined);
  if (!known.length) return { value: null, note: "not measured yet" };
  const depth = known.reduce((n, queue) => n + queue.depth, 0);
  const oldest = known.filter((queue) => queue.depth && queue.oldest_at).map((queue) => queue.oldest_at).sort()[0];
  return { value: short(depth), unit: `in ${many(known.length, "queue")}`, note: oldest ? `oldest waits ${ago(oldest)}` : depth ? "" : "all empty" };
}

function busy(n, longest) {
  const first = longest?.[0];
  return { value: short(n), note: n && first ? `longest ${ticking(running(first))}` : n ? "" : "nothing runs" };
}

// What is listed is the worst of them; the server has counted all.
function stuck(found, counted) {
  if (!found) return { value: null, note: "not known yet" };
  const n = (word) => Math.max(counted?.[word] ?? 0, found.filter(({ why }) => why === word).length);
  const [long, silent] = [n("long"), n("silent")];
  const words = [long ? `${count(long)} slow` : "", silent ? `${count(silent)} silent` : ""].filter(Boolean);
  return { value: short(long + silent), note: words.join(", ") || "none beyond p99", tone: silent ? "bad" : long ? "warn" : "" };
}
