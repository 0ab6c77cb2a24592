/** The health of Herald: lag, losses, monitors, store. */

import { now } from "../../base/clock.js";
import { h, icon, setAttr } from "../../base/dom.js";
import { formatAge, formatCount, formatLag, formatTime, pluralize } from "../../base/format.js";
import { describeGap, describeListening, selectRecent, sumLosses } from "../../base/gaps.js";
import { getDataAge } from "../../base/metrics.js";

const QUIET_MS = 120_000; // a warning is shown if no event arrives for longer

export class Freshness {
  #verdict;
  #prefix;
  #facts = new Map();
  #list = h("dl");
  /** Whether nothing is amiss and nothing was lost in the last hour. */ isWhole = false;
  #gaps = h("ol");
  #more = h("details", { className: "gaps" }, h("summary", {}, "Details"), this.#gaps);

  /** @param {string} [prefix] of its ids: it is shown on the overview and behind the state of the connection. */
  constructor(prefix = "") {
    this.#prefix = prefix;
    this.#verdict = h("strong", { id: `${prefix}verdict`, className: "freshness-verdict" });
    this.#addFact("event", "Last event", "Time of the last event");
    this.#addFact("lag", "Lag", "Data age");
    this.#addFact("lost", "Lost events, last hour", "Periods in which events may be missing, and how many were repaired");
    this.#addFact("monitors", "Monitors", "Processes that receive events from the broker");
    this.#addFact("store", "Store", "The Redis or Valkey that holds all records");
    this.#facts.get("lost").parentNode.append(" ", this.#more);
    this.el = h("section", { className: "card freshness", id: `${prefix}freshness`, "aria-label": "Health of Herald" },
      h("div", { className: "herald", title: "About Herald, not about the monitored system" }, h("span", {}, "Herald itself"), this.#verdict), this.#list);
  }

  draw({ connection, figures, live }) {
    const health = figures?.value?.health;
    const known = connection.gaps ?? health?.gaps ?? null;
    const gaps = known && selectRecent(known);
    const eventAt = Math.max(Date.parse(health?.last_event_at ?? "") || 0, live.lastChangeAt ?? 0);
    this.#renderVerdict(connection, health, gaps);
    this.#set("event", eventAt ? `${formatAge(eventAt)} ago` : "–", eventAt && now() - eventAt > QUIET_MS ? "warn" : null);
    const age = getDataAge(connection);
    this.#set("lag", age === null ? "–" : formatLag(age), ["behind", "silent"].includes(connection.word) ? "warn" : null);
    this.#renderLosses(gaps, health);
    this.#renderMonitors(health);
    const up = health?.store?.reachable;
    this.#set("store", up === undefined ? "–" : up ? "reachable" : "unreachable", up === false ? "bad" : null);
  }

  #renderVerdict({ word, since }, health, gaps) {
    const open = gaps?.some((gap) => gap.state === "open");
    const listening = describeListening(health?.monitors);
    const [symbol, tone, text] =
      word === "stale" ? ["warn", "bad", `Stale since ${formatTime(since)}`]
      : word === "refused" || word === "closed" ? ["cross", "bad", "Not connected"]
      : word === "silent" ? ["again", "warn", `No response from the server since ${formatTime(since)}`]
      : word === "reconnecting" || word === "connecting" ? ["again", "warn", "Connecting"]
      : health?.problem ? ["warn", "bad", health.problem]
      : word === "behind" ? ["half", "warn", "Fresh, but behind"]
      : !gaps || !health || !(gaps.length || listening) ? ["half", "quiet", "Live"] // losses are not known yet
      : open ? ["warn", "warn", "Live, with an open gap"]
      : gaps?.some((gap) => gap.state === "unrepairable") ? ["warn", "warn", "Fresh, but tasks may be missing"]
      : gaps?.length ? ["check", "good", `Fresh, ${pluralize(gaps.length, "gap")} closed`]
      : ["check", "good", `Fresh, nothing missed ${listening}`];
    setAttr(this.#verdict, "data-tone", tone);
    if (this.#verdict.textContent !== text) this.#verdict.replaceChildren(icon(symbol), h("span", {}, text));
    setAttr(this.el, "data-tone", tone === "good" ? null : tone);
    this.isWhole = tone === "good" && !gaps?.length;
  }

  // Frames carry at most twenty gaps; the count of the server includes all.
  #renderLosses(found, health) {
    this.#more.hidden = !found?.length;
    const hour = health?.gaps_last_hour;
    const listening = describeListening(health?.monitors);
    if (!found?.length) return this.#set("lost", found && listening ? `none ${listening}` : "–", null);
    const { count: n, missing, repaired, open, unrepairable } = hour?.count > found.length ? hour : { count: found.length, ...sumLosses(found) };
    const parts = [pluralize(n, "gap"), missing ? `${formatCount(missing)} missing` : "", repaired ? `${formatCount(repaired)} repaired` : "", open ? "open" : unrepairable ? `${formatCount(unrepairable)} unrepairable` : "closed"];
    this.#set("lost", parts.filter(Boolean).join(", "), open ? "bad" : "warn");
    const lines = found.map((gap) => h("li", {}, h("span", { className: "when" }, `${formatTime(gap.since)} – ${gap.until ? formatTime(gap.until) : "now"}`), h("strong", {}, gap.state ?? "open"), h("span", {}, describeGap(gap))));
    const list = h("ol", {}, lines);
    if (list.innerHTML !== this.#gaps.innerHTML) this.#gaps.replaceChildren(...lines);
  }

  #renderMonitors(health) {
    if (!health?.monitors) return this.#set("monitors", "–", null);
    const up = health.monitors.filter((monitor) => monitor.connected).length;
    const all = health.monitors.length;
    this.#set("monitors", all ? `${up} of ${all} connected` : "none", up && up === all ? null : "bad");
  }

  #addFact(key, label, title) {
    const value = h("span", { id: `${this.#prefix}freshness-${key}` }, "–");
    this.#facts.set(key, value);
    this.#list.append(h("div", { title }, h("dt", {}, label), h("dd", {}, value)));
  }

  #set(key, text, tone) {
    const value = this.#facts.get(key);
    setAttr(value, "data-tone", tone);
    if (value.dataset.text === text) return;
    value.dataset.text = text;
    value.replaceChildren(...(tone ? [icon("warn")] : []), text);
  }
}
