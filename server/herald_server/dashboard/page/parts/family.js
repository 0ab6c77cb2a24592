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
  return h("ul", { className: "family" }, top.map((task) => branch(task, children, self, new Set())));
}

// A cycle would be a lie of the events; it is drawn once.
function branch(task, children, self, above) {
  const below = above.has(task.id) ? [] : (children.get(task.id) ?? []);
  const inside = below.map((child) => branch(child, children, self, new Set([...above, task.id])));
  const own = task.id === self;
  const line = h("div", { className: own ? "own" : "" }, stateBadge(task.state),
    own ? h("strong", { "aria-current": "true" }, named(task.name ?? task.id)) : h("a", { href: link("task", {}, task.id) }, named(task.name ?? task.id)),
    h("span", { className: "fine" }, task.id), h("span", { className: "time" }, runtime(task)));
  return h("li", {}, line, inside.length ? h("ul", {}, inside) : null);
}
