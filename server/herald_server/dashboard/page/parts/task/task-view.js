/** Everything that is known of one task: the same in the panel and on its page. */

import { linkTo } from "../../base/address.js";
import { formatAtLeast, pluralize } from "../../base/format.js";
import { usePoll } from "../../base/view/hooks.js";
import { html, useEffect, useMemo, useRef } from "../../base/view/preact.js";
import { AttemptTimeline } from "../charts/attempt-timeline.js";
import { Card, State } from "../common/view.js";
import { Actions } from "./actions-view.js";
import { Answer, TaskState } from "./answer-view.js";
import { Attempts, Details, Where } from "./facts-view.js";
import { TaskTree } from "./task-tree.js";
import { Traceback } from "./traceback-view.js";
import { Arguments, Result } from "./values-view.js";

/** The head: state, name, id, actions, and the answer. */
export function TaskHead({ task, path, titleRef, isPanel }) {
  return html`<${TaskState} task=${task} />
    <h2 class="task-name" id=${isPanel ? "panel-title" : null} tabindex="-1" ref=${titleRef}><${Title} task=${task} isPanel=${isPanel} /></h2>
    <p class="id">${task.id}</p>
    <${Actions} task=${task} path=${path} />
    <${Answer} task=${task} path=${path} />`;
}

function Title({ task, isPanel }) {
  const title = html`<bdi>${task.name ?? (task.state === "UNKNOWN" ? "Unknown task" : "Task")}</bdi>`;
  if (isPanel) return html`<a href=${linkTo("task", {}, task.id)} title="Open as a page">${title}</a>`;
  return task.name ? html`<a href=${linkTo("type", {}, task.name)} title="Its task type">${title}</a>` : title;
}

/** The parts below the head, in the order in which one asks. */
export function TaskBody({ task, attempts, path, isPanel }) {
  const known = task.state && task.state !== "UNKNOWN";
  const failed = Boolean(task.traceback);
  const left = html`<${Timeline} task=${task} attempts=${attempts} />
    ${failed && html`<${Traceback} text=${task.traceback} />`}
    <${Arguments} task=${task} /><${Result} task=${task} path=${path} />
    ${attempts.length > 0 && html`<${Card} title=${isPanel ? `Attempts (${attempts.length})` : "Attempts"} note=${pluralize(attempts.length, "attempt")}><${Attempts} attempts=${attempts} /></${Card}>`}`;
  const right = html`${known && html`<${Tree} task=${task} path=${path} />`}
    <${Card} title="Where"><${Where} task=${task} /></${Card}>
    <${Card} title="Facts"><details open=${!isPanel || !failed}><summary>Times, source and the rest</summary><${Details} task=${task} /></details></${Card}>`;
  return isPanel ? html`${left}${right}` : html`<div class="two"><div class="column">${left}</div><div class="column">${right}</div></div>`;
}

function Timeline({ task, attempts }) {
  const ref = useRef(null);
  const timeline = useMemo(() => new AttemptTimeline(), []);
  useEffect(() => {
    ref.current.append(timeline.el);
    return timeline.observeSize();
  }, []);
  useEffect(() => timeline.show(task, attempts));
  return html`<section class="card lifeline" aria-label="Times" hidden=${!attempts.length}><div class="body" ref=${ref}></div></section>`;
}

function Tree({ task, path }) {
  const { value, error, known, send, refresh } = usePoll(`${path}/tree`, 15);
  useEffect(() => refresh(2), [task.updated_at]);
  const missing = error?.status === 404 ? "This task is not stored." : "";
  const alone = value?.tasks.length === 1;
  if (alone) return null;
  return html`<${Card} title="Task tree" note=${value && `${pluralize(value.tasks.length, "task")}${value.whole ? "" : ", and more"}`}>
    <${State} known=${known} error=${missing || value ? null : error} retry=${send} empty=${missing}>${() => html`<${TaskTree} tasks=${value.tasks} root=${value.root} self=${task.id} /><${Siblings} task=${task} />`}</${State}>
  </${Card}>`;
}

// The tree of a chord's body does not hold the members of its group.
function Siblings({ task }) {
  const group = task.group_id;
  const { value } = usePoll(group ? `api/v1/groups/${encodeURIComponent(group)}?tasks=0` : null, 15);
  if (!value?.total) return null;
  return html`<p class="fine siblings"><a href=${linkTo("group", {}, group)}>Group: ${formatAtLeast(value.finished, true)} of ${formatAtLeast(value.total, value.whole)} ended</a></p>`;
}
