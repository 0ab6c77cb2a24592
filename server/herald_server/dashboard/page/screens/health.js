/** Health: whether the notifier itself can be trusted, and what it put right. */

import { h } from "../dom.js";
import { ago, clock, count, lagging, many } from "../format.js";
import { badge } from "../parts/badge.js";
import { fine, loading, failed } from "../parts/blank.js";
import { card } from "../parts/card.js";
import { Listing } from "../parts/listing.js";
import { Table } from "../parts/table.js";
import { Tile } from "../parts/tile.js";

const SLOW_MS = 1_000;

const MONITORS = [
  { word: "Monitor", name: "n20" },
  { word: "Broker", title: "Whether it hears the broker" },
  { word: "Lag", num: true, name: "n6", title: "How long an event waits before it is stored" },
  { word: "Waiting", num: true, name: "n7", title: "Events that are heard and not stored yet", hide: true },
  { word: "Events", num: true, name: "n9", hide: true },
  { word: "Set aside", num: true, name: "n8", title: "Events that could not be read or stored", hide: true },
  { word: "Work", name: "n16", title: "One monitor at a time asks about unfinished tasks", hide: true },
  { word: "Trouble", hide: true },
];

const GAPS = [
  { word: "Gap", name: "n9" },
  { word: "From", name: "n9" },
  { word: "Until", name: "n9", hide: true },
  { word: "Why" },
  { word: "Missing", num: true, name: "n7", title: "Starts of tasks that certainly were not heard" },
  { word: "Repaired", num: true, name: "n7", title: "Tasks that were not as the events had told", hide: true },
];

export function show(place, visit) {
  const screen = new Health();
  place.append(...screen.parts);
  const asked = visit.ask("api/v1/health", (answer) => screen.draw(answer, () => asked.ask()), 5);
  return { refresh: () => screen.again() };
}

class Health {
  #push = new Tile("Event → frame", { title: "From a task's event to the frame that tells it, p50 and p99 over five minutes" });
  #lag = new Tile("Event lag", { title: "How long an event waits before it is stored" });
  #watchers = new Tile("Watchers", { title: "Subscriptions at this server process, over so many connections" });
  #resets = new Tile("Started over", { title: "Subscriptions that had to read a fresh snapshot" });
  #gaps = new Tile("Gaps, 1 h", { title: "Stretches in which events may be missing" });
  #repairs = new Tile("Put right", { title: "Tasks that the events had told wrongly, or not at all, since the monitors started" });
  #says = card("In words", { className: "says" });
  #monitors = new Listing("Monitors", new Table("Monitors", MONITORS, { key: (one) => one.id, cells: monitor }), () => failed("No monitor has spoken for 10 s; start one with: herald monitor"));
  #list = new Listing("Gaps", new Table("Gaps", GAPS, { key: (one) => one.id, cells: gap }), () => fine("No gap", "Nothing was missed, as far as can be known."));
  #samples = card("Events set aside", { className: "samples" });
  #answer = null;

  constructor() {
    const tiles = [this.#push, this.#lag, this.#watchers, this.#resets, this.#gaps, this.#repairs];
    const numbers = h("section", { className: "tiles", "aria-label": "Numbers" }, tiles.map((tile) => tile.el));
    this.#says.body.append(loading(3));
    this.#samples.el.hidden = true;
    this.parts = [numbers, this.#says.el, this.#monitors.el, this.#list.el, this.#samples.el];
  }

  again() {
    if (this.#answer) this.draw(this.#answer);
  }

  draw(answer, ask) {
    this.#answer = answer;
    const { value, error } = answer;
    if (error) return this.#says.body.replaceChildren(failed(error.message, ask));
    this.#numbers(value);
    this.#says.body.replaceChildren(h("dl", { className: "words" }, facts(value).flatMap(([word, text]) => [h("dt", {}, word), h("dd", {}, text)])));
    this.#monitors.render(value.monitors, { note: many(value.monitors.length, "monitor") });
    this.#list.render(value.gaps, { note: value.gaps.length ? many(value.gaps.length, "gap") : "" });
    this.#set(value.monitors.flatMap((one) => one.samples ?? []));
  }

  #numbers({ push, event_lag_ms: lag, watchers, connections, resets_by_reason: reasons = {}, gaps_last_hour: gaps, repairs }) {
    this.#push.set(push ? { value: lagging(push.p50_ms), unit: `p99 ${lagging(push.p99_ms)}`, note: `${count(push.count)} in 5 min`, tone: push.p99_ms > SLOW_MS ? "warn" : "" } : { value: null, note: "nothing told lately" });
    this.#lag.set(lag === undefined ? { value: null, note: "no monitor connected" } : { value: lagging(lag), note: "until stored", tone: lag > SLOW_MS ? "warn" : "" });
    this.#watchers.set({ value: count(watchers), note: many(connections, "connection") });
    const over = Object.entries(reasons).filter(([reason]) => reason !== "new" && reason !== "filter");
    this.#resets.set({ value: count(over.reduce((n, [, each]) => n + each, 0)), note: over.map(([reason, n]) => `${reason} ${count(n)}`).join(", ") || "none" });
    this.#gaps.set(gaps.count ? { value: count(gaps.count), note: gaps.open ? `${count(gaps.open)} open` : "all closed", tone: gaps.open ? "bad" : "warn" } : { value: "0", note: "none" });
    this.#repairs.set({ value: count(repairs.repaired + repairs.found), note: `${count(repairs.lost)} called lost` });
  }

  #set(samples) {
    this.#samples.el.hidden = samples.length === 0;
    this.#samples.body.replaceChildren(...samples.map((sample) => h("pre", {}, sample)));
  }
}

const LOOK = { ok: ["good", "check", "All is well"], degraded: ["warn", "warn", "A gap is open"], down: ["bad", "warn", "Blind"] };

function facts({ status, problem, node, cursor, store, backend, last_event_at: last }) {
  const [tone, shape, word] = LOOK[status] ?? ["quiet", "query", status];
  const servers = (store.servers ?? []).map(({ server, used, most, policy }) => `${server}, ${megabytes(used)}${most ? ` of ${megabytes(most)}` : ""}, ${policy}`);
  return [
    ["State", badge({ tone, shape, word }, problem ?? word)],
    ["Last event", last ? `${ago(last)} ago, ${clock(last)}` : "none was heard"],
    ["Store", [store.reachable ? "reachable" : "not reachable", ...servers].join("; ")],
    ...(backend ? [["Result backend", backend.says ?? backend.name]] : []),
    ["This server", `${node}, at ${cursor}`],
  ];
}

const megabytes = (bytes) => (Number.isFinite(bytes) ? `${(bytes / 1e6).toFixed(0)} MB` : "–");

function monitor({ id, connected, broker, lag_ms: lag = 0, waiting = 0, counters = {}, writers = 0, reconciling, trouble }) {
  return [
    id,
    badge(connected ? { tone: "good", shape: "dot", word: broker || "connected" } : { tone: "bad", shape: "warn", word: `not connected ${broker ?? ""}` }),
    lagging(lag),
    count(waiting),
    counters.events === undefined ? null : count(counters.events),
    counters.poison === undefined ? null : count(counters.poison),
    [reconciling && "asks about tasks", writers && `${writers} writing processes help`].filter(Boolean).join(", "),
    trouble ? h("span", { className: "warm", title: trouble }, trouble) : "",
  ];
}

function gap({ state, since, until, reason, missing = 0, repaired = 0 }) {
  const look = state === "open" ? { tone: "bad", shape: "warn", word: "Open" } : { tone: "good", shape: "check", word: "Closed" };
  return [badge(look), clock(since), clock(until), h("span", { title: reason }, reason), missing ? count(missing) : "", repaired ? count(repaired) : ""];
}
