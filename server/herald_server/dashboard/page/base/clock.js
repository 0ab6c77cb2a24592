/** The server's time, estimated from the `Date` of its answers. */

const MAX_ROUNDING_MS = 2_000; // an HTTP date has whole seconds; a smaller difference is rounding

let clockSkewMs = 0;

/** Estimate the difference of the clocks from the `Date` header of an answer. */
export function syncClock(/** @type {string|null} */ date) {
  const skewMs = date ? Date.parse(date) + 500 - Date.now() : 0;
  clockSkewMs = Math.abs(skewMs) > MAX_ROUNDING_MS ? skewMs : 0;
}

/** Return milliseconds since 1970 by the server's clock. */
export const now = () => Date.now() + clockSkewMs;
