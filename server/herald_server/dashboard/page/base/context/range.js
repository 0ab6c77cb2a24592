/**
 * The time range that all screens show: `at=` in the address. Without it the page is live;
 * `5m`, `10m`, `15m`, `1h` and `24h` end now; `FROM..TO` are two RFC 3339 times. Pure but for the clock.
 */

import { now } from "../clock.js";
import { formatHourMinute, formatTime } from "../format.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** @type {Record<string, [string, number]>} The choices that end now: label, length in ms. */
export const PRESETS = { "5m": ["5 min", 5 * MINUTE_MS], "10m": ["10 min", 10 * MINUTE_MS], "15m": ["15 min", 15 * MINUTE_MS], "1h": ["1 h", HOUR_MS], "24h": ["24 h", 24 * HOUR_MS] };

export class TimeRange {
  /** As in the address; empty: live. */ text = "";
  #from = null; // ms; null: not fixed
  #to = null;
  #length = HOUR_MS;

  /** @param {string} [text] the value of `at`; what cannot be read is live. */
  constructor(text = "") {
    const [from, to] = text.split("..").map((part) => Date.parse(part));
    if (text in PRESETS) this.#length = PRESETS[text][1];
    else if (from < to) [this.#from, this.#to, this.#length] = [from, to, to - from];
    else return;
    this.text = text;
  }

  /** Whether no limit is set. */
  get isLive() {
    return this.text === "";
  }

  /** Whether it has an end: nothing new can come into it. */
  get isFixed() {
    return this.#to !== null;
  }

  /** Its start in ms; null if live. */
  get since() {
    if (this.isLive) return null;
    return this.#from ?? now() - this.#length;
  }

  /** Its end in ms; null if it ends now. */
  get until() {
    return this.#to;
  }

  /** What a chart shows, in ms: an hour if live. */
  get chart() {
    const until = this.#to ?? now();
    return { since: this.#from ?? until - this.#length, until };
  }

  /** In words: `Live`, `15 min`, `02:00 – 02:30`. */
  get label() {
    if (this.isLive) return "Live";
    return PRESETS[this.text]?.[0] ?? `${formatTime(this.#from)} – ${formatHourMinute(this.#to)}`;
  }

  /** Whether a time in ms is within it. */
  contains(ms) {
    return (this.since === null || ms >= this.since) && (this.until === null || ms < this.until);
  }

  /** The parameters of the REST API: `{after, before}`, RFC 3339; empty if live. */
  get query() {
    const params = {};
    if (this.since !== null) params.after = new Date(this.since).toISOString();
    if (this.until !== null) params.before = new Date(this.until).toISOString();
    return params;
  }

  /** The `window` of `/api/v1/stats/series` that covers it. */
  get window() {
    return now() - this.chart.since > HOUR_MS + MINUTE_MS ? "24h" : "1h";
  }
}

/** Return the text of the address for a range of whole seconds. */
export function formatRange(since, until) {
  const [from, to] = [since, until].map((ms) => new Date(Math.round(ms / 1_000) * 1_000).toISOString().replace(".000Z", "Z"));
  return `${from}..${to}`;
}
