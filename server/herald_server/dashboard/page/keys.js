/** The keyboard. The sheet that explains it is loaded when it is asked for. */

import * as address from "./address.js";
import { byId } from "./dom.js";
import { styled } from "./frame.js";
import * as peek from "./peek.js";
import { SCREENS } from "./screens.js";

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 };
const GOING_MS = 1_500; // between `g` and the letter

/** @typedef {{search?: HTMLElement, move?: (by: number) => void, back?: () => void}} Hands */
/** @type {Hands} */ let held = {};
let going = 0;
let searching = false;

/** Give the present screen's keys: its filter, its list, where focus goes back to. */
export function hands(/** @type {Hands} */ its) {
  held = its;
  if (searching) queueMicrotask(() => its.search?.select());
  searching = false;
  return () => held === its && (held = {});
}

/** Listen for keys. */
export function show() {
  byId("help").addEventListener("click", help);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("sheet").open || byId("main").hidden) return;
    const typing = event.target.matches?.("input, textarea, select");
    if (event.key === "Escape") leave(typing);
    else if (event.key === "ArrowDown" && event.target === held.search) step(event);
    else if (typing) return;
    else if (jump(event.key)) event.preventDefault();
    else if (event.key === "/") act(event, search);
    else if (event.key === "?") act(event, help);
    else if (event.key in STEPS && !scrolls(event.target)) step(event);
  });
}

function act(event, what) {
  event.preventDefault();
  what();
}

function search() {
  if (held.search) return held.search.select();
  searching = true; // once the list is there
  address.go("tasks");
}

function jump(key) {
  const after = performance.now() - going < GOING_MS;
  going = key === "g" ? performance.now() : 0;
  const found = after && Object.entries(SCREENS).find(([, entry]) => entry.key === key);
  if (found) address.go(found[0]);
  return Boolean(found);
}

// Inside the panel the arrows scroll what has the focus.
function scrolls(target) {
  return Boolean(target.closest?.(".details, details, dialog:modal"));
}

function step(event) {
  if (!held.move) return;
  event.preventDefault();
  held.move(STEPS[event.key]);
}

function leave(typing) {
  if (peek.isOpen()) peek.close();
  else if (typing) held.back?.();
}

async function help() {
  const [{ show: open }] = await Promise.all([import("./parts/sheet.js"), styled("sheet.css")]);
  open();
}

/** Where focus goes when a task was closed. */
export const back = () => held.back?.();
