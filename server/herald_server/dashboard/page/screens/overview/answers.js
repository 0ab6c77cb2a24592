/** What the server's figures come to, in the shapes that the overview draws. Pure. */

import { clock } from "../../format.js";

const LATELY = 5; // minutes that count as now, as the server has it

/** What ended in the last minutes, of the bins of an hour; the last one goes on. */
export function lately(bins) {
  const sum = (some, word) => some.reduce((n, bin) => n + (bin.counts[word] ?? 0), 0);
  const share = (some) => rate(sum(some, "failed"), sum(some, "succeeded"));
  const first = bins.findIndex((bin) => Object.keys(bin.counts).length > 0);
  const known = first < 0 ? bins.slice(-1) : bins.slice(first); // before that, Herald may not have been there
  const [now, whole, before] = [known.slice(-LATELY - 1), known.slice(-LATELY - 1, -1), known.slice(0, -LATELY - 1)];
  return { succeeded: sum(whole, "succeeded"), minutes: whole.length, failed: sum(now, "failed"), share: share(now), usual: share(before) };
}

const rate = (failed, succeeded) => (failed + succeeded ? failed / (failed + succeeded) : NaN);

/** An answer of `/api/v1/stats/series` as the timeline draws it. */
export function drawn({ bins, bin_seconds: seconds, marks, since, until }) {
  const step = 1_000 * seconds;
  const end = Date.parse(bins.at(-1).at) + step;
  return { step, since: Date.parse(since), until: end, marks: marks.map((mark) => marked(mark, until)), points: bins.map((bin) => point(bin, step, Date.parse(until))) };
}

function point({ at, counts, runtime }, step, until) {
  const ms = Date.parse(at);
  return { at: ms, succeeded: counts.succeeded ?? 0, failed: counts.failed ?? 0, p50: runtime?.p50, p95: runtime?.p95, partial: ms + step > until };
}

const SAYS = { worker_started: "started", worker_offline: "last heard of, then gone", worker_silent: "last heard of, silent since" };

function marked({ at, kind, what, until = at, state }, now) {
  const title = kind === "gap" ? `Gap, ${state}: ${what} (${clock(at)} – ${state === "open" ? "now" : clock(until)})` : `${what}: ${SAYS[kind] ?? kind}, ${clock(at)}`;
  return { kind, title, at: Date.parse(at), until: Date.parse(state === "open" ? now : until) };
}
