/** A part of a screen with a heading: `card("Queues", {href, note, tools})`. */

import { h } from "../../base/dom.js";

let count = 0;

/**
 * @param {string} title
 * @param {{href?: string, tools?: Node[], className?: string, level?: 2|3}} [options]
 * @returns {{el: HTMLElement, body: HTMLElement, note: HTMLElement}} `note` is text
 *   at the right of the heading.
 */
export function card(title, { href, tools = [], className = "", level = 2 } = {}) {
  const id = `card-${++count}`;
  const note = h("p", { className: "card-note" });
  const body = h("div", { className: "body" });
  const head = h(`h${level}`, { id }, href ? h("a", { href }, title) : title);
  const el = h("section", { className: `card ${className}`, "aria-labelledby": id }, h("div", { className: "bar" }, head, note, ...tools), body);
  return { el, body, note };
}
