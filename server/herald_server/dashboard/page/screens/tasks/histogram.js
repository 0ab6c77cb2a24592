/** When the tasks of the list were: dragging over it chooses the time range of the page. */

import { now } from "../../base/clock.js";
import { formatRange } from "../../base/context/range.js";
import { formatCount, formatRate } from "../../base/format.js";
import { getCreatedAt } from "../../base/metrics.js";
import { usePoll, useScreen } from "../../base/view/hooks.js";
import { html } from "../../base/view/preact.js";
import { Chart } from "../../parts/charts/chart.js";
import { setRange } from "../../parts/shell/range-picker.js";

const BINS = 60;
const POLL_S = 15;
const COUNTED = {
  PENDING: ["submitted", "Submitted"], RECEIVED: ["submitted", "Submitted"], STARTED: ["started", "Started"], RETRY: ["retried", "Retried"], SUCCESS: ["succeeded", "Succeeded"],
  FAILURE: ["failed", "Failed"], REVOKED: ["revoked", "Revoked"], REJECTED: ["rejected", "Rejected"], LOST: ["lost", "Lost"],
};

/** Return the request and counts of a filter that the figures of each minute tell; null for others. Pure. */
export function chooseSeries({ filter, isWhole }) {
  const { name = [], queue = [], state = [], ...others } = filter;
  if (!isWhole || Object.keys(others).length || name.length + queue.length > 1 || state.some((one) => !(one in COUNTED))) return null;
  const counted = state.length ? state.map((one) => COUNTED[one]) : [COUNTED.SUCCESS, COUNTED.FAILURE];
  const labels = new Set(counted.map((one) => one[1]));
  return { params: { ...(name[0] ? { name: name[0] } : {}), ...(queue[0] ? { queue: queue[0] } : {}) }, keys: [...new Set(counted.map(([key]) => key))], label: !state.length ? "Ended" : labels.size === 1 ? [...labels][0] : "Tasks" };
}

/** Return the bins of the series within the range, as rates a minute. Pure. */
export function toPoints({ bins, bin_seconds: seconds, until }, keys, { since, until: end }) {
  const step = 1_000 * seconds;
  const points = bins.map(({ at, counts }) => ({ at: Date.parse(at), n: keys.reduce((sum, key) => sum + (counts[key] ?? 0), 0) / (seconds / 60), partial: Date.parse(at) + step > Date.parse(until) }));
  return { step, points: points.filter(({ at }) => at + step > since && at < end) };
}

/** Return the loaded tasks by time, in bins of whole seconds. Pure. */
export function countLoaded(entries, until) {
  const times = entries.map(({ rank, task }) => (rank > 0 ? rank : Date.parse(getCreatedAt(task)))).filter(Number.isFinite);
  const since = times.reduce((least, at) => Math.min(least, at), until);
  const step = 1_000 * Math.max(1, Math.ceil((until - since) / BINS / 1_000));
  const first = Math.floor(since / step) * step;
  const points = Array.from({ length: Math.floor((until - first) / step) + 1 }, (_, k) => ({ at: first + k * step, n: 0 }));
  for (const at of times) if (points[Math.floor((at - first) / step)]) points[Math.floor((at - first) / step)].n += 1;
  return { step, points };
}

/** @param {{chosen: ReturnType<typeof chooseSeries>, entries: any[]}} props */
export function Histogram({ chosen, entries }) {
  const { range } = useScreen();
  const { value, error } = usePoll(chosen ? `api/v1/stats/series?${new URLSearchParams({ window: range.window, ...chosen.params })}` : null, POLL_S);
  const counts = chosen && !error; // a token for some tasks only has no figures of all
  if (counts && !value) return html`<div class="histogram"></div>`;
  const { step, points } = counts ? toPoints(value, chosen.keys, range.chart) : countLoaded(entries, range.until ?? now());
  if (!points.length) return null;
  const lane = { label: counts ? chosen.label : "Loaded here", get: (point) => point.n, tone: chosen?.keys.join() === "failed" ? "bad" : "busy", format: counts ? (n) => `${formatRate(n)} /min` : formatCount };
  const choose = (since, until) => setRange(formatRange(since, until));
  return html`<div class="histogram"><${Chart} label="Tasks by time" points=${points} step=${step} since=${points[0].at} until=${points.at(-1).at + step} lanes=${[lane]}
    onZoom=${choose} onPick=${(point) => choose(point.at, point.at + step)} /></div>`;
}
