/** The live list of tasks: newest first, and no row moves under a pointer. */

import { byId, everySecond, h, mark, say, soon } from "./dom.js";
import { count, many } from "./format.js";
import { Row } from "./row.js";

export const LIMIT = 500;
const STEP = 80; // rows made at once; more come as one scrolls, for each costs a frame
const CALM = 8; // more new rows than this at once, and none is lit

/** @type {Map<string, Row>} */
const rows = new Map();
let collection = null;
let current = null; // the id of the row the arrow keys stand on
let made = STEP; // how many rows there are at most, now
let unseen = 0; // newer rows above what is in view

/** Wire the list; `open(id)` is called when a task is to be shown. */
export function show(open) {
  byId("rows").addEventListener("click", (event) => {
    const tr = event.target.closest("tr");
    if (!tr || event.metaKey || event.ctrlKey || event.shiftKey || getSelection()?.type === "Range") return;
    event.preventDefault();
    stand(tr.dataset.id, false);
    open(tr.dataset.id);
  });
  byId("newer").addEventListener("click", () => scrollTo(0));
  // Captured, for on a phone it is the page that scrolls and not the list.
  document.addEventListener("scroll", () => soon(reach), { passive: true, capture: true });
  everySecond(() => rows.forEach((row) => row.tick()));
}

/** Follow a collection of tasks. */
export function follow(it) {
  collection = it;
  soon(render);
}

/** Say that there is nothing to follow yet. */
export function wait() {
  byId("empty").hidden = false;
  byId("empty").replaceChildren(...nothing(false, true, true));
}

/** Stand on the row `by` further down (or up), as the arrow keys do. */
export function move(by) {
  const ids = [...byId("rows").children].map((tr) => tr.dataset.id);
  const at = ids.indexOf(current);
  const to = at < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.min(ids.length - 1, Math.max(0, at + by));
  if (ids.length) stand(ids[to], true);
  return ids[to];
}

/** Put the keyboard back on the row it stood on. */
export function refocus() {
  (rows.get(current)?.name ?? byId("filter")).focus({ preventScroll: true });
}

function stand(id, focus) {
  const before = rows.get(current);
  if (before) {
    mark(before.tr, "aria-current", null);
    before.name.tabIndex = -1;
  }
  current = id;
  const row = rows.get(id);
  if (!row) return;
  mark(row.tr, "aria-current", "true");
  row.name.tabIndex = 0;
  if (focus) row.name.focus({ preventScroll: true });
  row.tr.scrollIntoView({ block: "nearest" });
}

// Rows come as the end gets near, and go again when one is back at the top.
function reach() {
  const { firstElementChild: first, lastElementChild: last } = byId("rows");
  if (!first) return;
  const near = last.getBoundingClientRect().top < 2 * innerHeight;
  const more = near ? Math.min(LIMIT, made + STEP) : first.getBoundingClientRect().top > 0 ? STEP : made;
  if (more === made || (more > made && made > collection.items.size)) return pill();
  made = more;
  render();
}

function render() {
  const all = collection.newest();
  const anchor = held();
  if (anchor) made = Math.min(LIMIT, Math.max(made, STEP + all.findIndex((task) => task.id === anchor.dataset.id)));
  const tasks = all.slice(0, made);
  const [from, above] = [anchor?.offsetTop, anchor?.rowIndex];
  arrange(tasks);
  const moved = anchor?.isConnected ? anchor.offsetTop - from : 0;
  if (moved) byId("scroller").scrollTop += moved;
  if (moved > 0) unseen += anchor.rowIndex - above;
  if (!rows.has(current)) current = null;
  reachable();
  words(all.length);
  pill();
}

function arrange(tasks) {
  const body = byId("rows");
  const wanted = new Set(tasks.map((task) => task.id));
  for (const [id, row] of rows) if (!wanted.has(id)) rows.delete(id) && row.tr.remove();
  const fresh = [];
  let at = body.firstElementChild;
  for (const task of tasks) {
    const row = rows.get(task.id) ?? make(task.id, fresh);
    row.fill(task);
    if (row.tr === at) at = at.nextElementSibling;
    else body.insertBefore(row.tr, at);
  }
  if (fresh.length <= CALM) fresh.forEach((row) => row.tr.classList.add("fresh"));
}

function make(id, fresh) {
  const row = new Row(id);
  rows.set(id, row);
  fresh.push(row);
  return row;
}

// The row to keep in place: the first in view, when someone reads, points or stands here.
function held() {
  const scroller = byId("scroller");
  const busy = scroller.scrollTop > 0 || scroller.matches(":hover") || byId("rows").contains(document.activeElement);
  if (!busy) return null;
  const { offsetHeight: row } = byId("rows").firstElementChild ?? { offsetHeight: 1 };
  return byId("rows").children[Math.floor(scroller.scrollTop / row)] ?? null;
}

// One row can always be reached with Tab, the first when none was chosen.
function reachable() {
  const first = rows.get(current) ?? rows.get(byId("rows").firstElementChild?.dataset.id);
  if (first) first.name.tabIndex = 0;
}

function pill() {
  const scroller = byId("scroller");
  if (scroller.scrollTop < 8) unseen = 0;
  byId("newer").hidden = !unseen;
  say(byId("newer"), `↑ ${unseen > LIMIT ? `${LIMIT}+` : count(unseen)} newer`);
}

function scrollTo(top) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId("scroller").scrollTo({ top, behavior: still ? "auto" : "smooth" });
}

function words(n) {
  const { synced, truncated, error, arriving, wanted } = collection;
  const filtered = Object.keys(wanted.filter).length > 0;
  const loading = !synced && !error;
  mark(byId("scroller"), "aria-busy", loading);
  say(byId("list-word"), loading ? reading(arriving) : truncated ? `newest ${count(n)}; older ones match too` : many(n, "task"));
  byId("empty").hidden = n > 0;
  if (!n) byId("empty").replaceChildren(...nothing(loading, filtered, error));
}

const reading = (n) => (n ? `reading … ${count(n)}` : "reading …");

function nothing(loading, filtered, error) {
  if (loading) return Array.from({ length: 8 }, () => h("span", { className: "bone", "aria-hidden": "true" }));
  if (error) return [h("p", {}, "Nothing to show until the filter is mended.")];
  if (filtered)
    return [h("h3", {}, "No task matches"), h("p", {}, "A task that does will appear here by itself."),
      h("p", {}, h("a", { href: "#", className: "button" }, "Show all tasks"))];
  return [h("h3", {}, "No task yet"),
    h("p", {}, "The first one will appear here by itself. Workers tell of their tasks when events are on: ", h("code", {}, "celery -A proj worker -E"), "."),
    h("p", {}, "If some should be here already, ", h("code", {}, "herald doctor"), " tells what is missing.")];
}
