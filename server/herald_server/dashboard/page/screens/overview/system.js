/** What is wrong with the system that Herald watches, in one line. */

import { link } from "../../address.js";
import { h, mark, shape } from "../../dom.js";
import { stranded } from "../../figures.js";
import { atLeast, clock, count, many } from "../../format.js";

const RANKS = { good: 0, quiet: 1, warn: 2, bad: 3 };
const CURRENT = ["live", "behind"];

export class System {
  #head = h("strong", { className: "verdict", id: "system" });
  #list = h("ul", { className: "troubles" });
  #shown = "";

  constructor() {
    this.el = h("section", { className: "card system", "aria-label": "The system" }, this.#head, this.#list);
  }

  draw(watch) {
    const { connection } = watch;
    if (!connection) return;
    const current = CURRENT.includes(connection.word);
    const found = troubles(watch);
    const [tone, sign, text] =
      !current ? ["quiet", "half", `As of ${clock(connection.heardAt ?? connection.since)}`]
      : !found ? ["quiet", "half", "Not known yet"]
      : found.length ? [worst(found), "warn", `${many(found.length, "problem")}`]
      : ["good", "check", "No problem known"];
    const lines = found ?? [];
    const key = JSON.stringify([tone, text, lines]);
    if (key === this.#shown) return;
    this.#shown = key;
    mark(this.el, "data-tone", tone);
    mark(this.#head, "data-tone", tone);
    this.#head.replaceChildren(shape(sign), h("span", {}, text));
    this.#list.replaceChildren(...lines.map(({ tone: each, text: words, href, title }) => h("li", { "data-tone": each }, h("a", { href, title }, words))));
  }
}

const worst = (found) => found.reduce((tone, one) => (RANKS[one.tone] > RANKS[tone] ? one.tone : tone), "warn");

/** What is wrong, the worst first; null as long as it is not known. */
function troubles({ live, figures, suspects }) {
  if (!live.workers.synced || !live.queues.synced || !live.counts.synced || !figures) return null;
  const value = figures.value;
  const all = [...live.workers.items.values()];
  const workers = (state) => all.filter((worker) => worker.state === state).length;
  const silent = workers("silent");
  const odd = (value?.failing ?? []).filter((one) => one.unusual);
  const alone = [...live.queues.items.values()].filter(stranded);
  const lost = live.count("LOST");
  const long = Math.max(value?.suspects_counts?.long ?? 0, (suspects ?? []).filter(({ why }) => why === "long").length);
  const cut = value?.suspects_whole === false;
  const found = [
    !workers("online") && ["bad", all.length ? "no worker is online" : "no worker has been heard of", link("workers")],
    odd.length === 1 && ["bad", `${last(odd[0].name)} fails unusually often`, link("tasks", { q: `name:${odd[0].name} state:FAILURE` }), odd[0].name],
    odd.length > 1 && ["bad", `${count(odd.length)} kinds of tasks fail unusually often`, link("tasks", { q: "state:FAILURE" }), names(odd)],
    alone.length && ["bad", `${many(alone.length, "queue")} without a consumer`, link("queues"), names(alone)],
    silent && ["bad", `${many(silent, "worker")} silent`, link("workers")],
    lost && ["warn", `${many(lost, "task")} lost`, link("tasks", { q: "state:LOST" })],
    long && ["warn", `${atLeast(long, !cut)} ${long === 1 && !cut ? "task runs" : "tasks run"} unusually long`, link("tasks", { q: "state:STARTED" })],
    figures.error && ["warn", "what fails is not known: the server did not answer", link("health")],
  ];
  return found.filter(Boolean).map(([tone, text, href, title]) => ({ tone, text, href, title: title ?? null }));
}

const names = (found) => found.map((one) => one.name).join(", ");
const last = (name) => (name ?? "").split(".").at(-1);
