/** The token: from the fragment into this tab's storage, never into an address. */

import * as address from "./address.js";
import { byId, h } from "./dom.js";

/** Where Herald is served, whatever prefix a proxy put before it. */
export const base = new URL("../../", import.meta.url);

const KEY = `herald.token:${base.pathname}`;
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
export function held() {
  try {
    return sessionStorage.getItem(KEY) ?? kept;
  } catch {
    return kept;
  }
}

export function forget() {
  keep(null);
}

/** Show the form that asks for a token; resolves when one was kept. */
export function ask(/** @type {string} */ why) {
  const { promise, resolve } = Promise.withResolvers?.() ?? later();
  const input = h("input", { id: "token", type: "password", name: "token", required: true, autocomplete: "off", spellcheck: false });
  const form = h("form", { className: "gate", "aria-labelledby": "gate-title" },
    h("h2", { id: "gate-title" }, why || "Herald needs a token"),
    h("p", {}, "Herald prints an address that carries a token when it starts; opening that address is enough. To make another one, run ", h("code", {}, "herald token"), " where Herald runs, and paste it here."),
    h("label", { htmlFor: "token" }, "Token"),
    h("div", { className: "pair" }, input, h("button", { className: "strong" }, "Open")),
    h("p", { className: "fine" }, "It stays in this tab and is forgotten with it."));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!input.value.trim()) return;
    keep(input.value.trim());
    form.remove();
    resolve(held());
  });
  byId("main").hidden = true;
  document.body.append(form);
  input.focus();
  return promise;
}

function keep(token) {
  kept = token;
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Kept in this page only.
  }
}

function later() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}
