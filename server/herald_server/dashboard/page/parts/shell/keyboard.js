/** Keyboard shortcuts. The help dialog is loaded when it is first opened. */

import * as address from "../../base/address.js";
import { byId } from "../../base/dom.js";
import { SCREENS } from "../../base/routes.js";
import { loadStylesheet } from "../../base/view/stylesheets.js";
import * as sidePanel from "./side-panel.js";

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 };
const PREFIX_MS = 1_500; // between `g` and the letter

/** @typedef {{searchBox?: HTMLElement, move?: (by: number) => void, tick?: () => void, hold?: () => void, restoreFocus?: () => void}} KeyHandlers */
/** @type {KeyHandlers} */ let handlers = {};
let prefixAt = -Infinity; // when `g` was pressed
let searchPending = false;

/** Set the handlers of the present screen; returns a function that removes them. */
export function setHandlers(/** @type {KeyHandlers} */ own) {
  handlers = own;
  if (searchPending) queueMicrotask(() => own.searchBox?.select());
  searchPending = false;
  return () => handlers === own && (handlers = {});
}

/** Listen for keys; `openJump` opens the dialog that goes anywhere. */
export function mount(openJump) {
  byId("help").addEventListener("click", openHelp);
  byId("jump-button").addEventListener("click", openJump);
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !byId("main").hidden) return run(event, openJump);
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help-dialog").open || byId("main").hidden) return;
    const typing = event.target.matches?.("input, textarea, select");
    if (event.key === "Escape") handleEscape(typing);
    else if (event.key === "ArrowDown" && event.target === handlers.searchBox) moveSelection(event);
    else if (typing) return;
    else if (openScreen(event.key)) event.preventDefault();
    else if (event.key === "/") run(event, focusSearch);
    else if (event.key === "?") run(event, openHelp);
    else if (event.key === "x" && handlers.tick) run(event, handlers.tick);
    else if (event.key === "h" && handlers.hold) run(event, handlers.hold);
    else if (event.key in STEPS && !isScrollable(event.target)) moveSelection(event);
  });
}

function run(event, command) {
  event.preventDefault();
  command();
}

function focusSearch() {
  if (handlers.searchBox) return handlers.searchBox.select();
  searchPending = true; // done once the list is shown
  address.navigate("tasks");
}

function openScreen(key) {
  const isSecondKey = performance.now() - prefixAt < PREFIX_MS;
  prefixAt = key === "g" ? performance.now() : -Infinity;
  const found = isSecondKey && Object.entries(SCREENS).find(([, entry]) => entry.key === key);
  if (found) address.navigate(found[0]);
  return Boolean(found);
}

// Inside the panel the arrow keys scroll the focused element.
function isScrollable(target) {
  return Boolean(target.closest?.(".details, details, dialog:modal"));
}

function moveSelection(event) {
  if (!handlers.move) return;
  event.preventDefault();
  handlers.move(STEPS[event.key]);
}

function handleEscape(typing) {
  if (sidePanel.isOpen()) sidePanel.close();
  else if (typing) handlers.restoreFocus?.();
}

async function openHelp() {
  const [dialog] = await Promise.all([import("./help-dialog.js"), loadStylesheet("help-dialog.css")]);
  dialog.open();
}

/** Return the focus to the list, as after a task was closed. */
export const restoreFocus = () => handlers.restoreFocus?.();
