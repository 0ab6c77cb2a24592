/** A workflow as a tree of tasks; the steps of a chain stand below each other, and long stretches are folded. */

import { linkTo } from "../../base/address.js";
import { formatRuntime, pluralize } from "../../base/format.js";
import { getStateLook } from "../../base/states.js";
import { html } from "../../base/view/preact.js";
import { Name, StateBadge } from "../common/view.js";

const FOLD_FROM = 6; // steps of one state in a row that are folded

/** @param {{tasks: any[], root: string, self: string}} props  `self`: the task of the page */
export function TaskTree({ tasks, root, self }) {
  const children = new Map();
  const known = new Set(tasks.map((task) => task.id));
  const top = [];
  for (const task of tasks) {
    const parent = task.id !== root && task.parent_id !== task.id && known.has(task.parent_id) ? task.parent_id : null;
    if (parent === null) top.push(task);
    else children.set(parent, [...(children.get(parent) ?? []), task]);
  }
  return html`<ul class="task-tree">${top.map((task) => html`<${Branch} key=${task.id} first=${task} children=${children} self=${self} above=${new Set()} />`)}</ul>`;
}

// A task with one child is drawn above it, as the steps of a chain; several are indented.
// Wrong parent ids can form a cycle: each task is drawn once.
function Branch({ first, children, self, above }) {
  const seen = new Set(above);
  const steps = [];
  for (let task = first; task; ) {
    const below = seen.has(task.id) ? [] : (children.get(task.id) ?? []);
    seen.add(task.id);
    steps.push({ task, forks: below.length > 1 ? below : [] });
    task = below.length === 1 ? below[0] : null;
  }
  const isChain = steps.length > 1;
  return groupSteps(steps, self).map((group) => (group.length >= FOLD_FROM ? html`<${Folded} steps=${group} self=${self} />` : group.map((step, k) => html`<${Step} key=${step.task.id} ...${step} isChain=${isChain} children=${children} self=${self} seen=${seen} />`)));
}

function Step({ task, forks, isChain, children, self, seen }) {
  return html`<li class=${isChain ? "step" : ""} data-tone=${getStateLook(task.state).tone}><${Entry} task=${task} self=${self} />
    ${forks.length > 0 && html`<ul>${forks.map((child) => html`<${Branch} key=${child.id} first=${child} children=${children} self=${self} above=${seen} />`)}</ul>`}</li>`;
}

function Folded({ steps, self }) {
  const { state } = steps[0].task;
  return html`<li class="step" data-tone=${getStateLook(state).tone}><details><summary><${StateBadge} state=${state} /> ${pluralize(steps.length, "step")}</summary>
    ${steps.map(({ task }) => html`<${Entry} key=${task.id} task=${task} self=${self} />`)}</details></li>`;
}

// Steps of the same state in a row; its own, its neighbours and forks stand alone.
function groupSteps(steps, self) {
  const own = steps.findIndex(({ task }) => task.id === self);
  const groups = [];
  steps.forEach((step, k) => {
    const alone = step.forks.length > 0 || Math.abs(k - own) <= 1 || step.task.state === "FAILURE";
    const last = groups.at(-1);
    if (last && !alone && !last.alone && last[0].task.state === step.task.state) last.push(step);
    else groups.push(Object.assign([step], { alone }));
  });
  return groups;
}

function Entry({ task, self }) {
  const own = task.id === self;
  const name = html`<${Name} name=${task.name ?? task.id} />`;
  return html`<div class=${own ? "own" : ""}><${StateBadge} state=${task.state} />
    ${own ? html`<strong aria-current="true">${name}</strong>` : html`<a href=${linkTo("task", {}, task.id)}>${name}</a>`}
    <span class="fine">${task.id}</span><span class="time">${formatRuntime(task)}</span></div>`;
}
