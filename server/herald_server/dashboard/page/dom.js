/** Making and changing elements; text is always text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Make an element; `props` are properties, or attributes where the name has a dash
 * or is `role`, `href`, `scope`; children are nodes or text, nothing when null.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key in element && !ATTRIBUTES.has(key)) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}
const ATTRIBUTES = new Set(["role", "href", "scope"]);

/** A sign from the sprite in the page; always beside a word, so hidden from readers. */
export function shape(name) {
  return draw("svg", { class: "shape", "aria-hidden": "true" }, draw("use", { href: `#${name}` }));
}

/** Make a part of a drawing. */
export function draw(tag, attributes = {}, ...children) {
  const part = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) part.setAttribute(key, value);
  part.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return part;
}

/** Put text into a node, only where it differs: an equal write costs a layout too. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button that does `act`. */
export function button(text, act, className = "") {
  const it = h("button", { type: "button", className }, text);
  it.addEventListener("click", act);
  return it;
}

/** Show these nodes where they differ: what stays the same stays under a pointer, in focus, selected. */
export function swap(holder, nodes) {
  const made = h("div", {}, nodes);
  if (made.innerHTML !== holder.innerHTML) holder.replaceChildren(...made.childNodes);
}

/** Set or take away an attribute, only where it differs. */
export function mark(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

const PAUSE_MS = 100; // ten paints a second are as many as one can read
const SHARE = 3; // under load, rest three times as long as a frame took
const waiting = new Set();
let restUntil = 0;

/** Run `paint` before the next frame, once however often asked; hidden pages wait. */
export function soon(paint) {
  waiting.add(paint);
  if (waiting.size === 1) setTimeout(() => requestAnimationFrame(flush), lull());
}

function lull() {
  return Math.max(0, restUntil - performance.now());
}

function flush(at) {
  const paints = [...waiting];
  waiting.clear();
  restUntil = at + PAUSE_MS;
  for (const paint of paints) paint();
  // What follows the frame runs once the browser has laid it out and drawn it.
  setTimeout(() => (restUntil = at + Math.max(PAUSE_MS, SHARE * (performance.now() - at))));
}

const ticks = new Set();
let beating = false;

/** Run `tick` each second while the page can be seen; returns how to stop. */
export function everySecond(tick) {
  ticks.add(tick);
  beating ||= beat();
  return () => ticks.delete(tick);
}

function beat() {
  const all = () => document.hidden || ticks.forEach((tick) => tick());
  setInterval(all, 1_000);
  document.addEventListener("visibilitychange", all);
  return true;
}
