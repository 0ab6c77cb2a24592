/** Create and change elements; text is always text, never markup. */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

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

/** An icon of the sprite in the page; always beside text, so hidden from screen readers. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#${name}` }));
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) element.setAttribute(key, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set the text of a node if it differs: an equal write costs a layout too. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button with a click handler. */
export function button(text, onClick, className = "") {
  const element = h("button", { type: "button", className }, text);
  element.addEventListener("click", onClick);
  return element;
}

/** Replace the children if they differ: equal ones keep focus and selection. */
export function replaceIfChanged(holder, nodes) {
  const next = h("div", {}, nodes);
  if (next.innerHTML !== holder.innerHTML) holder.replaceChildren(...next.childNodes);
}

/** Set or remove an attribute if it differs. */
export function setAttr(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

const MIN_FRAME_MS = 100; // ten paints a second are enough to read
const PAUSE_FACTOR = 3; // under load, pause three times as long as a frame took
const pendingPaints = new Set();
let pauseUntil = 0;

/** Run `paint` once before the next frame; hidden pages wait. */
export function schedule(paint) {
  pendingPaints.add(paint);
  if (pendingPaints.size === 1) setTimeout(() => requestAnimationFrame(flush), getDelay());
}

function getDelay() {
  return Math.max(0, pauseUntil - performance.now());
}

function flush(at) {
  const paints = [...pendingPaints];
  pendingPaints.clear();
  pauseUntil = at + MIN_FRAME_MS;
  for (const paint of paints) paint();
  // What follows the frame runs once the browser has laid it out and drawn it.
  setTimeout(() => (pauseUntil = at + Math.max(MIN_FRAME_MS, PAUSE_FACTOR * (performance.now() - at))));
}

const ticks = new Set();
let ticking = false;

/** Run `tick` each second while the page is visible; returns a function that stops it. */
export function runEverySecond(tick) {
  ticks.add(tick);
  ticking ||= startTicking();
  return () => ticks.delete(tick);
}

function startTicking() {
  const all = () => document.hidden || ticks.forEach((tick) => tick());
  setInterval(all, 1_000);
  document.addEventListener("visibilitychange", all);
  return true;
}
