/**
 * The token: from the fragment into this tab's storage, never into an address. A tab that
 * has none asks the other open tabs of this Herald (same origin, same path) for theirs.
 */

import * as address from "./address.js";
import { styled } from "./frame.js";

/** Where Herald is served, whatever prefix a proxy put before it. */
export const base = new URL("../../", import.meta.url);

const KEY = `herald.token:${base.pathname}`;
const ALONE = `herald.alone:${base.pathname}`;
const ANSWER_MS = 300; // in which another tab mostly answers; then the form is shown
let kept = null; // where storage is forbidden, a token lives as long as the page

/** Take a token out of the address bar, if there is one there. */
export function fromAddress() {
  const { token } = address.read().words;
  if (!token) return false;
  keep(token);
  history.replaceState(null, "", address.here({ token: null }));
  return true;
}

/** The token of this tab, or null. */
export const held = () => stored(KEY) ?? kept;

function stored(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

export function forget() {
  keep(null);
}

/** Whether this tab gives its token to no other. */
export const alone = () => stored(ALONE) !== null;

/** Give the token of this tab to others that ask, unless it is to stay here. */
export function share() {
  const channel = opened();
  if (!channel) return;
  channel.onmessage = ({ data }) => {
    if (data === "ask" && held() && !alone()) channel.postMessage({ token: held() });
  };
}

/** Get a token for this tab: of another one, as soon as it answers, or of the form. */
export async function obtain() {
  const channel = opened();
  const { promise, resolve } = Promise.withResolvers?.() ?? later();
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (typeof data?.token !== "string" || held()) return;
      keep(data.token);
      resolve();
    };
    channel.postMessage("ask");
    await Promise.race([promise, new Promise((done) => setTimeout(done, ANSWER_MS))]);
  }
  if (!held()) await Promise.race([ask(""), promise]);
  document.querySelector(".gate")?.remove();
  channel?.close();
}

// Tabs of another origin hear nothing of it; those of another path have another name.
function opened() {
  return typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(KEY);
}

/** Show the form that asks for a token; resolves when one was kept. */
export async function ask(/** @type {string} */ why) {
  const [{ show }] = await Promise.all([import("./gate.js"), styled("gate.css")]);
  if (held()) return; // another tab gave one meanwhile
  const { token, only } = await show(why);
  keep(token, only);
}

function keep(token, only = false) {
  kept = token;
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
    if (only) sessionStorage.setItem(ALONE, "1");
    else sessionStorage.removeItem(ALONE);
  } catch {
    // Kept in this page only.
  }
}

function later() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}
