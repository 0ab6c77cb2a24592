/** Gaps: stretches in which events may be missing. Pure but for the clock. */

import { now } from "./clock.js";

export const HOUR_MS = 3_600_000;

/** Those that reach into the last `ms`, newest first. */
export function lately(gaps, ms = HOUR_MS) {
  return gaps.filter((gap) => end(gap) > now() - ms);
}

/** When a gap ended (ms); one that lasts ends now. */
export const end = (gap) => (gap.until ? Date.parse(gap.until) : now());

/** How many events are known to be missing, and how many tasks were put right. */
export function toll(gaps) {
  const sum = (key) => gaps.reduce((n, gap) => n + (gap[key] ?? 0), 0);
  return { missing: sum("missing"), repaired: sum("repaired"), open: gaps.filter((gap) => gap.state === "open").length };
}
