/** The page of one task. */

import { linkTo } from "../../base/address.js";
import { showView, useScreen } from "../../base/view/hooks.js";
import { html } from "../../base/view/preact.js";
import { State } from "../../parts/common/view.js";
import { TaskBody, TaskHead } from "../../parts/task/task-view.js";
import { useTask } from "../../parts/task/use-task.js";

export const show = (place, context) => showView(place, context, TaskPage);

function TaskPage() {
  const id = useScreen().place.arg;
  if (!id) return html`<div class="placeholder"><h3>No task</h3><p>Open a task from the list.</p><a class="button" href=${linkTo("tasks")}>Show tasks</a></div>`;
  return html`<${Known} key=${id} id=${id} />`;
}

function Known({ id }) {
  const { task, attempts, error, known, send, path } = useTask(id, "page");
  return html`<section class="card task-head" aria-label="Task" data-state=${task.state}><${State} known=${known} error=${error} retry=${send}>${() => html`<${TaskHead} task=${task} path=${path} />`}</${State}></section>
    ${known && !error && task.state !== "UNKNOWN" && html`<${TaskBody} task=${task} attempts=${attempts} path=${path} />`}`;
}
