/** Herald itself: whether this screen can be trusted. Lag, losses, monitors, store. */

import { now } from "../../clock.js";
import { h, mark, say, shape } from "../../dom.js";
import { ago, clock, count, lagging, many } from "../../format.js";
import { lately, toll } from "../../gaps.js";
import { age } from "../../corner.js";

const QUIET_MS = 120_000; // no event for longer than this is worth a look

export class Trust {
  #verdict = h("strong", { id: "verdict" });
  #facts = new Map();
  #list = h("dl");
  #gaps = h("ol");
  #more = h("details", { className: "gaps" }, h("summary", {}, "Which?"), this.#gaps);

  constructor() {
    this.#fact("event", "Last event", "When Herald last heard a word from a worker");
    this.#fact("lag", "Lag", "How old what is shown may be");
    this.#fact("lost", "Lost events, last hour", "Stretches in which events may be missing, and what became of them");
    this.#fact("monitors", "Monitors", "Processes that hear the broker");
    this.#fact("store", "Store", "Where everything is kept");
    this.#facts.get("lost").parentNode.append(" ", this.#more);
    this.el = h("section", { className: "card trust", id: "trust", "aria-label": "Herald itself: can this screen be trusted?" },
      h("div", { className: "herald", title: "About Herald, not about the system that it watches" }, h("span", {}, "Herald itself"), this.#verdict), this.#list);
  }

  draw({ connection, figures, live }) {
    if (!connection) return;
    const said = figures?.value?.health;
    const told = connection.gaps ?? said?.gaps ?? null;
    const gaps = told && lately(told);
    const heard = Math.max(Date.parse(said?.last_event_at ?? "") || 0, live.heardAt ?? 0);
    this.#judge(connection, said, gaps);
    this.#set("event", heard ? `${ago(heard)} ago` : "–", heard && now() - heard > QUIET_MS ? "warn" : null);
    const late = age(connection);
    this.#set("lag", late === null ? "–" : lagging(late), ["behind", "silent"].includes(connection.word) ? "warn" : null);
    this.#losses(gaps, said?.gaps_last_hour);
    this.#monitors(said);
    const up = said?.store?.reachable;
    this.#set("store", up === undefined ? "–" : up ? "reachable" : "unreachable", up === false ? "bad" : null);
  }

  #judge({ word, since }, said, gaps) {
    const open = gaps?.some((gap) => gap.state === "open");
    const [sign, tone, text] =
      word === "stale" ? ["warn", "bad", `Stale since ${clock(since)}`]
      : word === "refused" || word === "closed" ? ["cross", "bad", "Not connected"]
      : word === "silent" ? ["again", "warn", `No word from the server since ${clock(since)}`]
      : word === "reconnecting" || word === "connecting" ? ["again", "warn", "Connecting"]
      : said?.problem ? ["warn", "bad", said.problem]
      : word === "behind" ? ["half", "warn", "Fresh, but behind"]
      : !gaps || !said ? ["half", "quiet", "Live"] // what was lost is not known yet
      : open ? ["warn", "warn", "Live, with an open gap"]
      : gaps?.length ? ["check", "good", `Fresh, ${many(gaps.length, "gap")} closed`]
      : ["check", "good", "Fresh, nothing missed"];
    mark(this.#verdict, "data-tone", tone);
    if (this.#verdict.textContent !== text) this.#verdict.replaceChildren(shape(sign), h("span", {}, text));
    mark(this.el, "data-tone", tone === "good" ? null : tone);
  }

  // Frames tell of twenty gaps at most; where there are more, the server has counted.
  #losses(found, hour) {
    this.#more.hidden = !found?.length;
    if (!found?.length) return this.#set("lost", found ? "none" : "–", null);
    const { count: n, missing, repaired, open } = hour?.count > found.length ? hour : { count: found.length, ...toll(found) };
    const words = [many(n, "gap"), missing ? `${count(missing)} missing` : "", repaired ? `${count(repaired)} put right` : "", open ? "open" : "closed"];
    this.#set("lost", words.filter(Boolean).join(", "), open ? "bad" : "warn");
    const lines = found.map((gap) => h("li", {}, h("span", { className: "when" }, `${clock(gap.since)} – ${gap.until ? clock(gap.until) : "now"}`), h("strong", {}, gap.state ?? "open"), h("span", {}, gap.reason)));
    const list = h("ol", {}, lines);
    if (list.innerHTML !== this.#gaps.innerHTML) this.#gaps.replaceChildren(...lines);
  }

  #monitors(said) {
    if (!said?.monitors) return this.#set("monitors", "–", null);
    const up = said.monitors.filter((monitor) => monitor.connected).length;
    const all = said.monitors.length;
    this.#set("monitors", all ? `${up} of ${all} connected` : "none", up && up === all ? null : "bad");
  }

  #fact(key, word, title) {
    const value = h("span", { id: `trust-${key}` }, "–");
    this.#facts.set(key, value);
    this.#list.append(h("div", { title }, h("dt", {}, word), h("dd", {}, value)));
  }

  #set(key, text, tone) {
    const value = this.#facts.get(key);
    mark(value, "data-tone", tone);
    if (value.dataset.said === text) return;
    value.dataset.said = text;
    value.replaceChildren(...(tone ? [shape("warn")] : []), text);
  }
}
