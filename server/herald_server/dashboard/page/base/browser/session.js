/** The session of somebody who signed in. Its cookie is the browser's: no script reads it. */

import { BASE_URL } from "../token.js";

const PLACE = "herald.place";
const HEADERS = { Accept: "application/json", "X-Herald-Request": "1" };

/**
 * Return how one can sign in, and who has; null if the server does not say.
 * @returns {Promise<{methods: string[], caller: string|null, expires?: number|null, refusal?: string}|null>}
 */
export async function readSession() {
  try {
    const response = await fetch(new URL("auth/session", BASE_URL), { headers: HEADERS, cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** Renew the session; returns it, or null if one must sign in again. @returns {Promise<{expires: number}|null>} */
export const refreshSession = () => post("auth/refresh");

/** End the session; returns where that of the provider ends. */
export async function endSession() {
  return (await post("auth/logout"))?.url ?? "";
}

async function post(path) {
  try {
    const response = await fetch(new URL(path, BASE_URL), { method: "POST", headers: HEADERS, cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** Keep the screen of the address while one signs in elsewhere. */
export const rememberPlace = () => sessionStorage.setItem(PLACE, location.hash);

/** Go back to it. */
export function restorePlace() {
  const place = sessionStorage.getItem(PLACE);
  sessionStorage.removeItem(PLACE);
  if (place && !location.hash) history.replaceState(null, "", place);
}
