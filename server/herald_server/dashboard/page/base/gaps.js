/** Gaps: periods in which events may be missing. Pure but for the clock. */

import { now } from "./clock.js";
import { formatCount } from "./format.js";

const HOUR_MS = 3_600_000;

/** Return the gaps that reach into the last `ms`. */
export function selectRecent(gaps, ms = HOUR_MS) {
  return gaps.filter((gap) => getEnd(gap) > now() - ms);
}

/** Return when a gap ended (ms); an open one ends now. */
const getEnd = (gap) => (gap.until ? Date.parse(gap.until) : now());

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
