/** What time it is on the server, as near as its answers tell. */

const TRUSTED_MS = 2_000; // an HTTP date knows seconds; less than this is no skew

let skew = 0;

/** Learn how far this machine's clock is off from an answer's `Date` header. */
export function learn(/** @type {string|null} */ date) {
  const off = date ? Date.parse(date) + 500 - Date.now() : 0;
  skew = Math.abs(off) > TRUSTED_MS ? off : 0;
}

/** Milliseconds since 1970, by the server's clock. */
export const now = () => Date.now() + skew;
