/** A task's family as a tree: who called whom, each with its state. */

import { link } from "../address.js";
import { h } from "../dom.js";
import { runtime } from "../format.js";
import { stateBadge } from "./badge.js";
import { named } from "./name.js";

/** @param {any[]} tasks @param {string} root @param {string} self the task that is looked at */
export function family(tasks, root, self) {
  const children = new Map();
  const known = new Set(tasks.map((task) => task.id));
  const top = [];
  for (const task of tasks) {
    const parent = task.id !== root && task.parent_id !== task.id && known.has(task.parent_id) ? task.parent_id : null;
    if (parent === null) top.push(task);
    else children.set(parent, [...(children.get(parent) ?? []), task]);
  }
  return h("ul", { className: "family" }, top.flatMap((task) => branch(task, children, self, new Set())));
}

// Who calls but one stands above it on one rail, as the steps of a chain; forks go in.
// A cycle would be a lie of the events; it is drawn once.
function branch(first, children, self, above) {
  const seen = new Set(above);
  const steps = [];
  for (let task = first; task; ) {
    const below = seen.has(task.id) ? [] : (children.get(task.id) ?? []);
    seen.add(task.id);
    const forks = below.length > 1 ? h("ul", {}, below.flatMap((child) => branch(child, children, self, seen))) : null;
    steps.push(h("li", {}, line(task, self), forks));
    task = below.length === 1 ? below[0] : null;
  }
  if (steps.length > 1) steps.forEach((step) => step.classList.add("step"));
  return steps;
}

function line(task, self) {
  const own = task.id === self;
  return h("div", { className: own ? "own" : "" }, stateBadge(task.state),
    own ? h("strong", { "aria-current": "true" }, named(task.name ?? task.id)) : h("a", { href: link("task", {}, task.id) }, named(task.name ?? task.id)),
    h("span", { className: "fine" }, task.id), h("span", { className: "time" }, runtime(task)));
}
