/** The token of this tab: in its session storage, never in an address. */

import * as address from "./address.js";

/** Where Herald is served, whatever prefix a proxy put before it; modules are in `dashboard/` or `dashboard/v/VERSION/`. */
export const BASE_URL = new URL(import.meta.url.replace(/dashboard\/(v\/[^/]+\/)?page\/base\/token\.js.*$/, ""));

const KEY = `herald.token:${BASE_URL.pathname}`;
const PRIVATE_KEY = `herald.alone:${BASE_URL.pathname}`;
let memoryToken = null; // for browsers that forbid storage

/** Move a token from the address bar into the storage; return whether there was one. */
export function takeFromAddress() {
  const { token } = address.readAddress().params;
  if (!token) return false;
  storeToken(token);
  history.replaceState(null, "", address.linkWith({ token: null }));
  return true;
}

/** Return the token of this tab, or null. */
export const getToken = () => readItem(KEY) ?? memoryToken;

/** Return the headers of a request of this tab: its token, or that a page of ours sends it, with a session's cookie. */
export const makeAuthHeaders = () => (getToken() ? { Authorization: `Bearer ${getToken()}` } : { "X-Herald-Request": "1" });

/** Give the token of this tab to other tabs that ask, unless it is private. */
export function shareToken() {
  const channel = openChannel();
  if (!channel) return;
  channel.onmessage = ({ data }) => {
    if (data === "sign out" && !readItem(PRIVATE_KEY)) (storeToken(null), location.reload());
    if (data === "ask" && getToken() && !readItem(PRIVATE_KEY)) channel.postMessage({ token: getToken() });
  };
}

/** Forget the token in this tab, and in the others that share it. */
export function signOut() {
  openChannel()?.postMessage("sign out");
  storeToken(null);
}

/** Return the channel between the tabs of this Herald: those of the same origin and path. */
export const openChannel = () => (typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(KEY));

/** Store a token; a private one stays in this tab. */
export function storeToken(token, isPrivateToken = false) {
  memoryToken = token;
  writeItem(KEY, token);
  writeItem(PRIVATE_KEY, isPrivateToken ? "1" : null);
}

/** Let the page at another path of this server begin with the token of this tab. */
export function handOverToken(path) {
  writeItem(`herald.token:${path}`, getToken());
  writeItem(`herald.alone:${path}`, readItem(PRIVATE_KEY));
}

function readItem(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function writeItem(key, value) {
  try {
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {
    // Storage is forbidden: `memoryToken` has it until the page is left.
  }
}
