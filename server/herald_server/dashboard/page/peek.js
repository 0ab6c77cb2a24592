/** The open task beside a screen. What draws it is loaded when one is first opened. */

import { styled } from "./frame.js";

let wanted = null; // the id of the open task
let panel = null;
let begin = () => {};

/** Note whose connection it is to use; `afterwards` runs when a task was closed. */
export function show(client, afterwards) {
  begin = async () => {
    const [loaded] = await Promise.all([import("./parts/panel.js"), styled("panel.css")]);
    if (!panel) loaded.show(client, close);
    panel = loaded;
    if (wanted !== null) panel.open(wanted);
  };
  closed = afterwards;
}
let closed = () => {};

export const isOpen = () => wanted !== null;

/** Show the task of this id. */
export function open(/** @type {string} */ id) {
  wanted = id;
  if (panel) panel.open(id);
  else begin();
}

export function close() {
  if (!isOpen()) return;
  wanted = null;
  panel?.close();
  closed();
}

/** Write everything anew, as when times changed their zone. */
export const redraw = () => panel?.redraw();
