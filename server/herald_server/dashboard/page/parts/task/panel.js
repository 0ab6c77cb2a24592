/** The panel of one task, beside any screen. */

import { ScreenContext } from "../../base/context/screen-context.js";
import { byId } from "../../base/dom.js";
import { showView, useScreen } from "../../base/view/hooks.js";
import { html, useEffect, useRef } from "../../base/view/preact.js";
import { State } from "../common/view.js";
import { Edge, restoreSize } from "./panel-size.js";
import { TaskBody, TaskHead } from "./task-view.js";
import { useTask } from "./use-task.js";

let context = null;
let view = null;
let services = null;
let close = () => {};

/** Set what the panel reads from; `onClose` runs when its button is clicked. */
export function mount(shared, onClose) {
  [services, close] = [shared, onClose];
  restoreSize();
}

/** Render it again, as after a change of the time zone. */
export const redraw = () => view?.refresh();

/** Show the task of this id. */
export function open(taskId) {
  if (context?.place.arg === taskId) return;
  leave();
  const { client, live, attention } = services;
  context = new ScreenContext(client, live, { screen: "panel", arg: taskId, params: {} }, attention);
  const panel = byId("panel");
  view = showView(panel, context, Panel);
  if (!panel.open) panel.show();
  panel.scrollTop = 0;
}

export function hide() {
  leave();
  byId("panel").close();
}

function leave() {
  context?.end();
  byId("panel").replaceChildren();
  context = view = null;
}

function Panel() {
  const id = useScreen().place.arg;
  const title = useRef(null);
  const { task, attempts, error, known, send, path } = useTask(id, "panel");
  useEffect(() => title.current?.focus({ preventScroll: true }), []);
  return html`<${Edge} /><div class="head"><button type="button" class="quiet close" aria-label="Close" title="Close (Esc)" onClick=${close}>×</button>
      ${error ? html`<${State} known=${known} error=${error} retry=${send} />` : html`<${TaskHead} task=${task} path=${path} titleRef=${title} isPanel=${true} />`}</div>
    ${known && !error && task.state !== "UNKNOWN" && html`<div class="panel-body"><${TaskBody} task=${task} attempts=${attempts} path=${path} isPanel=${true} /></div>`}`;
}
