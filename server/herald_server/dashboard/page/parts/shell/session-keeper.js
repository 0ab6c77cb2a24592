/** Renews the session before it ends, and connects again with the new one. */

import { now } from "../../base/clock.js";
import { refreshSession } from "../../base/browser/session.js";

const AHEAD_MS = 60_000;
const LEAST_MS = 5_000;

/** @param {import("../../../herald/client.js").Client} client @param {number} expires unix seconds */
export function keepSession(client, expires) {
  const left = 1_000 * expires - now();
  setTimeout(async () => {
    const session = await refreshSession();
    if (!session) return; // once it has ended, the server says so
    client.rest();
    client.open();
    keepSession(client, session.expires);
  }, Math.max(left - Math.min(AHEAD_MS, left / 2), LEAST_MS));
}
