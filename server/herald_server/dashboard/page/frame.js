/** The frame around every screen: navigation, title, and going from one to the next. */

import * as address from "./address.js";
import { byId, h, mark, say } from "./dom.js";
import { failed, loading } from "./parts/blank.js";
import { SCREENS } from "./screens.js";
import { Visit } from "./visit.js";

let client = null;
let live = null;
let visit = null;
let present = { key: "", update: () => {} };
let first = true;
let [named, warned] = ["", ""]; // the parts of the tab's title

/** Lay out the navigation and begin. */
export function show(connected, /** @type {import("./live.js").Live} */ collections) {
  [client, live] = [connected, collections];
  const shown = Object.entries(SCREENS).filter(([, { under }]) => !under);
  byId("nav").replaceChildren(...shown.map(([name, { word }]) => h("a", { href: address.link(name), "data-screen": name }, word)));
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is the address of the screen
    byId("main").focus();
  });
}

/** Show what the address asks for. */
export function arrive() {
  const place = address.read();
  const key = `${place.screen}/${place.arg}`;
  if (key === present.key) return present.update(place.words);
  const entry = SCREENS[place.screen] ?? SCREENS.overview;
  leave();
  present = { key, update: () => {} };
  title(entry.word);
  highlight(entry.under ?? (place.screen in SCREENS ? place.screen : "overview"));
  enter(entry, place, key);
}

/** Draw the present screen anew; one that can do so itself keeps its place. */
export function redraw() {
  if (present.refresh) return present.refresh();
  present = { key: "", update: () => {} };
  arrive();
}

/** Set a number beside a word of the navigation, and what it counts; 0 takes it away. */
export function flag(screen, n, noun, tone = "bad") {
  const link = byId("nav").querySelector(`[data-screen="${screen}"]`);
  if (!link) return;
  const sign = link.querySelector(".flag") ?? link.appendChild(h("span", { className: "flag" }));
  sign.hidden = !n;
  mark(sign, "data-tone", tone);
  mark(link, "title", n ? `${n} ${noun}` : null);
  if (sign.dataset.n === String(n)) return;
  sign.dataset.n = n;
  sign.replaceChildren(` ${n}`, h("span", { className: "unseen" }, ` ${noun}`));
}

/** The title of the screen, for readers and for the tab. */
export function title(text) {
  say(byId("title"), text);
  named = text;
  entitle();
}

/** Say in the tab's title what is wrong with the connection; empty if nothing is. */
export function warn(text) {
  warned = text;
  entitle();
}

const entitle = () => (document.title = [warned, named, "Herald"].filter(Boolean).join(" · "));

function leave() {
  visit?.end();
  visit = null;
}

async function enter(entry, place, key) {
  const screen = byId("screen");
  screen.replaceChildren(loading());
  mark(screen, "data-name", place.screen);
  const mine = (visit = new Visit(client, live, place));
  try {
    const [module] = await Promise.all([entry.load(), ...[entry.css].flat().map(styled)]);
    if (mine !== visit) return;
    screen.replaceChildren();
    present = { key, update: () => {}, ...module.show(screen, mine) };
  } catch (error) {
    if (mine === visit) screen.replaceChildren(failed(`This screen could not be loaded: ${error.message}`, () => location.reload()));
    throw error;
  }
  byId("main").scrollTop = 0;
  if (!first) byId("main").focus({ preventScroll: true });
  first = false;
}

/** Load a style sheet, once. */
export function styled(/** @type {string|undefined} */ name) {
  const href = name && new URL(name, import.meta.url).href;
  if (!href || [...document.styleSheets].some((sheet) => sheet.href === href)) return undefined;
  const sheet = h("link", { rel: "stylesheet", href });
  document.head.append(sheet);
  return new Promise((resolve) => (sheet.onload = sheet.onerror = resolve));
}

function highlight(name) {
  for (const link of byId("nav").children) mark(link, "aria-current", link.dataset.screen === name ? "page" : null);
}
