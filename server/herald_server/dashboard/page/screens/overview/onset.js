/** Finds since when a task name fails, in its counts by minute. Pure. */

const FACTOR = 3; // failing: this many times the share of the rest
const FLOOR = 0.02; // or this share where the rest has no failures
const QUIET_BINS = 3; // minutes without unusual failures that end a storm
const MARK_MS = 10 * 60_000; // a deploy this long before may be the cause

/** Return `{at, mark}`: the start (ms) of the failures that last until now; null if there are none. */
export function findOnset({ bins, marks = [] }) {
  const shares = bins.map(({ counts }) => getShare(counts));
  const limit = Math.max(FLOOR, FACTOR * median(shares.filter((share) => share !== null)));
  let first = -1;
  let quiet = 0;
  for (let k = bins.length - 1; k >= 0 && quiet <= QUIET_BINS; k -= 1) {
    const failing = shares[k] !== null && shares[k] > limit;
    if (failing) first = k;
    quiet = failing ? 0 : quiet + 1;
  }
  if (first < 0) return null;
  const at = Date.parse(bins[first].at);
  const mark = marks.findLast((one) => one.kind === "deploy" && Date.parse(one.at) <= at + 60_000 && Date.parse(one.at) > at - MARK_MS) ?? null;
  return { at, mark };
}

/** Return the failures of each bin. */
export const toBars = ({ bins }) => bins.map(({ counts }) => counts.failed ?? 0);

function getShare({ failed = 0, succeeded = 0 }) {
  return failed + succeeded ? failed / (failed + succeeded) : null;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)] : 0;
}
