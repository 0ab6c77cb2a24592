/** Gaps: periods in which events may be missing. Pure but for the clock. */

import { now } from "./clock.js";
import { formatCount, formatHourMinute } from "./format.js";

const HOUR_MS = 3_600_000;

/** Return the gaps that reach into the last `ms`. */
export function selectRecent(gaps, ms = HOUR_MS) {
  return gaps.filter((gap) => getEnd(gap) > now() - ms);
}

/** Return when a gap ended (ms); an open one ends now. */
const getEnd = (gap) => (gap.until ? Date.parse(gap.until) : now());

/**
 * Return for how long no event can have been lost, if no gap is known: "in 1 h", or "since 14:10"
 * where no monitor has been connected for the whole hour; null if none is connected.
 */
export function describeListening(monitors) {
  const since = Math.min(...(monitors ?? []).filter(({ connected }) => connected).map((one) => Date.parse(one.connected_since ?? "")));
  if (!Number.isFinite(since)) return null;
  return since <= now() - HOUR_MS ? "in 1 h" : `since ${formatHourMinute(since)}`;
}

/** Return how many events are missing, how many tasks were repaired, how many gaps are open and unrepairable. */
export function sumLosses(gaps) {
  const sum = (key) => gaps.reduce((n, gap) => n + (gap[key] ?? 0), 0);
  const count = (state) => gaps.filter((gap) => gap.state === state).length;
  return { missing: sum("missing"), repaired: sum("repaired"), open: count("open"), unrepairable: count("unrepairable") };
}

/** Return why a gap is there, how far its repair is, and what it could not find. */
export function describeGap({ reason, state, unrepaired, searched, to_search: total }) {
  const progress = state === "open" && searched ? `searched ${formatCount(searched)} of about ${formatCount(total)} stored results` : "";
  return [reason, progress, unrepaired].filter(Boolean).join(". ");
}
