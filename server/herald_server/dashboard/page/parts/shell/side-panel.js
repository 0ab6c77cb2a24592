/** The open task beside a screen. The panel is loaded when a task is first opened. */

import { loadStylesheet } from "../../base/view/stylesheets.js";

let taskId = null; // of the open task
let panel = null;
let services = null;
let onClose = () => {};

/** Set what the panel reads from, `{client, live, attention}`, and what runs after a task was closed. */
export function mount(shared, afterClose) {
  [services, onClose] = [shared, afterClose];
}

export const isOpen = () => taskId !== null;

/** Show the task of this id. */
export function open(/** @type {string} */ id) {
  taskId = id;
  if (panel) panel.open(id);
  else loadPanel();
}

export function close() {
  if (!isOpen()) return;
  taskId = null;
  panel?.hide();
  onClose();
}

/** Render the panel again, as after a change of the time zone. */
export const redraw = () => panel?.redraw();

async function loadPanel() {
  const [module] = await Promise.all([import("../task/panel.js"), loadStylesheet("panel.css"), loadStylesheet("task.css")]);
  if (!panel) module.mount(services, close);
  panel = module;
  if (isOpen()) panel.open(taskId);
}
