/** The health of Herald: latency, losses, repairs, monitors, gaps. */

import { h } from "../../base/dom.js";
import { describeGap } from "../../base/gaps.js";
import { formatAge, formatCount, formatLag, formatTime, pluralize } from "../../base/format.js";
import { badge } from "../../parts/common/badge.js";
import { card } from "../../parts/common/card.js";
import { errorState, okState, skeleton } from "../../parts/common/placeholders.js";
import { StatTile } from "../../parts/common/stat-tile.js";
import { TableCard } from "../../parts/common/table-card.js";

const SLOW_MS = 1_000;

const MONITORS = [
  { label: "Monitor", name: "n20" },
  { label: "Broker", title: "Connection to the broker" },
  { label: "Lag", num: true, name: "n6", title: "Time from receiving an event to storing it" },
  { label: "Waiting", num: true, name: "n7", title: "Events that are received but not stored", hide: true },
  { label: "Outbox", num: true, name: "n9", title: "Entries of the outbox that no monitor has read, and their age" },
  { label: "Events", num: true, name: "n9", hide: true },
  { label: "Unreadable", num: true, name: "n9", title: "Events that could not be decoded or stored", hide: true },
  { label: "Work", name: "n16", title: "One monitor at a time checks unfinished tasks", hide: true },
  { label: "Problem", hide: true },
];

const GAPS = [
  { label: "Gap", name: "n9" },
  { label: "From", name: "n9" },
  { label: "Until", name: "n9", hide: true },
  { label: "Why" },
  { label: "Missing", num: true, name: "n7", title: "Task starts that are known to be missing" },
  { label: "Repaired", num: true, name: "n8", title: "Tasks whose stored state was corrected", hide: true },
];

export function show(place, context) {
  const screen = new Health();
  place.append(...screen.parts);
  const request = context.poll("api/v1/health", (answer) => screen.draw(answer, () => request.send()), 5);
  return { refresh: () => screen.refresh() };
}

class Health {
  #push = new StatTile("Event → frame", { title: "Time from a task event to the frame about it, p50 and p99 over five minutes" });
  #lag = new StatTile("Event lag", { title: "Time from receiving an event to storing it" });
  #watchers = new StatTile("Subscriptions", { title: "Subscriptions of this server process, and their connections" });
  #resets = new StatTile("Resets", { title: "Subscriptions that needed a new snapshot" });
  #gaps = new StatTile("Gaps, 1 h", { title: "Periods in which events may be missing" });
  #repairs = new StatTile("Repaired", { title: "Tasks whose stored state was wrong or missing, since the monitors started" });
  #summary = card("Summary", { className: "summary" });
  #monitors = new TableCard("Monitors", MONITORS, { key: (one) => one.id, cells: toMonitorCells }, () => errorState("No monitor has reported for 10 s. Start one with: herald monitor"), { className: "whole" });
  #list = new TableCard("Gaps", GAPS, { key: (one) => one.id, cells: toGapCells }, () => okState("No gaps", "No missing events are known."), { className: "whole" });
  #samples = card("Unreadable events", { className: "samples" });
  #answer = null;

  constructor() {
    const tiles = [this.#push, this.#lag, this.#watchers, this.#resets, this.#gaps, this.#repairs];
    const numbers = h("section", { className: "tiles", "aria-label": "Statistics" }, tiles.map((tile) => tile.el));
    this.#summary.body.append(skeleton(3));
    this.#samples.el.hidden = true;
    this.parts = [numbers, this.#summary.el, this.#monitors.el, this.#list.el, this.#samples.el];
  }

  refresh() {
    if (this.#answer) this.draw(this.#answer);
  }

  draw(answer, ask) {
    this.#answer = answer;
    const { value, error } = answer;
    if (error) return this.#summary.body.replaceChildren(errorState(error.message, ask));
    this.#renderTiles(value);
    this.#summary.body.replaceChildren(h("dl", { className: "fact-list" }, getFacts(value).flatMap(([label, text]) => [h("dt", {}, label), h("dd", {}, text)])));
    this.#monitors.render(value.monitors, { note: pluralize(value.monitors.length, "monitor") });
    this.#list.render(value.gaps, { note: value.gaps.length ? pluralize(value.gaps.length, "gap") : "" });
    this.#renderSamples(value.monitors.flatMap((one) => one.samples ?? []));
  }

  #renderTiles({ push, event_lag_ms: lag, watchers, connections, resets_by_reason: reasons = {}, gaps_last_hour: gaps, repairs }) {
    this.#push.set(push ? { value: formatLag(push.p50_ms), unit: `p99 ${formatLag(push.p99_ms)}`, note: `${formatCount(push.count)} in 5 min`, tone: push.p99_ms > SLOW_MS ? "warn" : "" } : { value: null, note: "no recent frames" });
    this.#lag.set(lag === undefined ? { value: null, note: "no monitor connected" } : { value: formatLag(lag), note: "until stored", tone: lag > SLOW_MS ? "warn" : "" });
    this.#watchers.set({ value: formatCount(watchers), note: pluralize(connections, "connection") });
    const unexpected = Object.entries(reasons).filter(([reason]) => reason !== "new" && reason !== "filter");
    this.#resets.set({ value: formatCount(unexpected.reduce((n, [, each]) => n + each, 0)), note: unexpected.map(([reason, n]) => `${reason} ${formatCount(n)}`).join(", ") || "none" });
    this.#gaps.set(gaps.count ? { value: formatCount(gaps.count), note: gaps.open ? `${formatCount(gaps.open)} open` : gaps.unrepairable ? `${formatCount(gaps.unrepairable)} unrepairable` : "all closed", tone: gaps.open ? "bad" : "warn" } : { value: "0", note: "none" });
    this.#repairs.set({ value: formatCount(repairs.repaired + repairs.found), note: `${formatCount(repairs.lost)} marked lost` });
  }

  #renderSamples(samples) {
    this.#samples.el.hidden = samples.length === 0;
    this.#samples.body.replaceChildren(...samples.map((sample) => h("pre", {}, sample)));
  }
}

const LOOKS = { ok: ["good", "check", "Healthy"], degraded: ["warn", "warn", "A gap is open"], down: ["bad", "warn", "Not receiving events"] };

function getFacts({ status, problem, node, cursor, store, backend, last_event_at: last }) {
  const [tone, icon, label] = LOOKS[status] ?? ["quiet", "query", status];
  const servers = (store.servers ?? []).map(({ server, used, most, policy }) => `${server}, ${formatMegabytes(used)}${most ? ` of ${formatMegabytes(most)}` : ""}, ${policy}`);
  return [
    ["State", badge({ tone, icon, label }, problem ?? label)],
    ["Last event", last ? `${formatAge(last)} ago, ${formatTime(last)}` : "none received"],
    ["Store", [store.reachable ? "reachable" : "not reachable", ...servers].join("; ")],
    ...(backend ? [["Result backend", backend.says ?? backend.name]] : []),
    ["This server", `${node}, at ${cursor}`],
  ];
}

const formatMegabytes = (bytes) => (Number.isFinite(bytes) ? `${(bytes / 1e6).toFixed(0)} MB` : "–");

function toMonitorCells({ id, connected, broker, lag_ms: lag = 0, waiting = 0, counters = {}, writers = 0, reconciling, trouble, outbox }) {
  return [
    id,
    badge(connected ? { tone: "good", icon: "dot", label: broker || "connected" } : { tone: "bad", icon: "warn", label: `not connected ${broker ?? ""}` }),
    formatLag(lag),
    formatCount(waiting),
    renderOutbox(outbox),
    counters.events === undefined ? null : formatCount(counters.events),
    counters.poison === undefined ? null : formatCount(counters.poison),
    [reconciling && "checks unfinished tasks", writers && `${writers} writer processes`].filter(Boolean).join(", "),
    trouble ? h("span", { className: "warn-text", title: trouble }, trouble) : "",
  ];
}

function renderOutbox(outbox) {
  if (!outbox) return null;
  if (!outbox.connected) return h("span", { className: "bad-text" }, "not connected");
  if (!outbox.exists) return h("span", { title: "No worker writes to it. Start workers with -I herald_worker.auto" }, "unused");
  const { unread = 0, lag_ms: lag = 0 } = outbox;
  const text = `${unread === null ? "some" : formatCount(unread)} unread`;
  return lag > SLOW_MS ? h("span", { className: "warn-text" }, `${text}, ${formatLag(lag)}`) : text;
}

const GAP_LOOKS = {
  open: { tone: "bad", icon: "warn", label: "Open" },
  closed: { tone: "good", icon: "check", label: "Closed" },
  unrepairable: { tone: "warn", icon: "warn", label: "Unrepairable" },
};

function toGapCells(gap) {
  const { state, since, until, missing = 0, repaired = 0 } = gap;
  const [look, why] = [GAP_LOOKS[state] ?? { tone: "quiet", icon: "query", label: state }, describeGap(gap)];
  return [badge(look), formatTime(since), formatTime(until), h("span", { title: why }, why), missing ? formatCount(missing) : "", repaired ? formatCount(repaired) : ""];
}
