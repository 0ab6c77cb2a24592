/** Map the server's answers to what the overview draws. Pure. */

import { formatTime } from "../../base/format.js";

const RECENT_MINUTES = 5; // minutes that count as recent, as on the server

/** Sum the last minutes of an hour of bins; the last bin is not complete. */
export function summarizeRecent(bins) {
  const sum = (some, key) => some.reduce((n, bin) => n + (bin.counts[key] ?? 0), 0);
  const share = (some) => getRate(sum(some, "failed"), sum(some, "succeeded"));
  const first = bins.findIndex((bin) => Object.keys(bin.counts).length > 0);
  const known = first < 0 ? bins.slice(-1) : bins.slice(first); // before, Herald may not have been running
  const [now, whole, before] = [known.slice(-RECENT_MINUTES - 1), known.slice(-RECENT_MINUTES - 1, -1), known.slice(0, -RECENT_MINUTES - 1)];
  return { succeeded: sum(whole, "succeeded"), minutes: whole.length, failed: sum(now, "failed"), share: share(now), usual: share(before) };
}

const getRate = (failed, succeeded) => (failed + succeeded ? failed / (failed + succeeded) : NaN);

/** Map an answer of `/api/v1/stats/series` to what a chart shows of the range. */
export function toTimeline({ bins, bin_seconds: seconds, marks, until }, range) {
  const step = 1_000 * seconds;
  const asked = range.isLive ? null : range.chart;
  const points = bins.map((bin) => toPoint(bin, step, Date.parse(until))).filter(({ at }) => !asked || (at + step > asked.since && at < asked.until));
  return { step, points, since: points[0]?.at ?? 0, until: (points.at(-1)?.at ?? 0) + step, marks: marks.map((mark) => toMark(mark, until)) };
}

// Counts as rates a minute; what is not known stays absent.
function toPoint({ at, counts, runtime }, step, until) {
  const [ms, minutes] = [Date.parse(at), step / 60_000];
  return { at: ms, succeeded: (counts.succeeded ?? 0) / minutes, failed: (counts.failed ?? 0) / minutes, p50: runtime?.p50, p95: runtime?.p95, partial: ms + step > until };
}

const DEPLOYS = new Set(["deploy", "release", "software"]);
const TITLES = { worker_started: "started", worker_offline: "shut down after its last event", worker_silent: "silent since its last event" };

function toMark({ at, kind, what, until = at, state }, now) {
  if (DEPLOYS.has(kind)) return { kind, title: `${what}, ${formatTime(at)}`, label: shorten(what), at: Date.parse(at), until: Date.parse(until) };
  const title = kind === "gap" ? `Gap, ${state}: ${what} (${formatTime(at)} – ${state === "open" ? "now" : formatTime(until)})` : `${what}: ${TITLES[kind] ?? kind}, ${formatTime(at)}`;
  return { kind, title, label: what, at: Date.parse(at), until: Date.parse(state === "open" ? now : until) };
}

const MAX_LABEL = 28; // characters beside a flag

function shorten(text) {
  const short = text.replace(/ on [\d,]+ workers?$/, "");
  return short.length > MAX_LABEL ? `${short.slice(0, MAX_LABEL - 1)}…` : short;
}
