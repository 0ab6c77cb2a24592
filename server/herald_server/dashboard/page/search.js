/** The filter box: what is written there goes to the server as a subscription. */

import * as address from "./address.js";
import { byId, say } from "./dom.js";
import { FilterError, format, parse } from "./filter.js";

const PAUSE_MS = 300; // the server takes ten subscriptions a second; a hand types faster

let timer = 0;
let apply = () => {};
let wait = () => {};
let applied = null; // as it was written; null before the first

/** Wire the box; `use(filter)` runs with each new filter, `none()` while none can be read. */
export function show(use, none) {
  [apply, wait] = [use, none];
  byId("filter").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => settle(byId("filter").value), PAUSE_MS);
  });
  byId("filter-form").addEventListener("submit", (event) => {
    event.preventDefault();
    settle(byId("filter").value);
  });
}

/** Take the filter from the address, at the start and when Back is pressed. */
export function fromAddress() {
  const { q } = address.read();
  if (q !== byId("filter").value) byId("filter").value = q;
  settle(q);
}

/** Replace the filter, as a click on a count or a worker does. */
export function set(filter) {
  byId("filter").value = format(filter);
  settle(byId("filter").value);
}

/** The filter in use. */
export function present() {
  return parse(applied ?? "");
}

/** Say what is wrong with the filter; nothing when all is well. */
export function complain(sentence) {
  say(byId("filter-word"), sentence);
  if (sentence) byId("filter").setAttribute("aria-invalid", "true");
  else byId("filter").removeAttribute("aria-invalid");
}

function settle(text) {
  clearTimeout(timer);
  try {
    const filter = parse(text);
    complain("");
    address.write({ q: text.trim() });
    if (applied !== null && format(filter) === format(present())) return;
    applied = text;
    apply(filter);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    complain(error.message);
    if (applied === null) wait();
  }
}
