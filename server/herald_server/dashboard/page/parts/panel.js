/** The panel of one task: all that is known, live, and the button that cancels. */

import { byId, everySecond, h, mark, say, shape, soon, swap } from "../dom.js";
import { attempts, facts, notices, settled, values } from "./details.js";
import { runtime } from "../format.js";
import { link } from "../address.js";
import { Orders } from "./orders.js";
import { read } from "../rest.js";
import { stateLook } from "../states.js";
import { share } from "../figures.js";

const AGAIN_MS = 500; // attempts come over HTTP; no faster than this

let client = null;
let id = null;
let live = null; // the task as pushed
let whole = null; // the task as read, with its attempts
let timer = 0;

const title = h("a", { title: "Open it as a page" }, "Task");
const parts = {
  title: h("h2", { id: "panel-title", tabIndex: -1 }, title),
  state: h("p", { className: "state big" }),
  name: h("p", { className: "id" }),
  orders: new Orders(),
  body: h("div", { className: "details" }, ["", "", "", ""].map(() => h("div"))),
};
const shut = h("button", { type: "button", className: "quiet shut", "aria-label": "Close", title: "Close (Esc)" }, "×");

/** Wire the panel; `shutting` is to close it. */
export function show(connected, shutting) {
  client = connected;
  shut.addEventListener("click", shutting);
  byId("panel").append(h("div", { className: "head" }, parts.state, shut, parts.title, parts.name), parts.orders.el, parts.body);
  everySecond(() => id !== null && headline());
}

/** Write everything anew, as when times changed their zone. */
export const redraw = () => soon(render);

/** Show the task of this id. */
export function open(wanted) {
  if (id === wanted) return;
  id = wanted;
  live = whole = null;
  clearTimeout(timer);
  timer = 0;
  client.subscribe({ id: "panel", filter: { ids: [id] } }, hear);
  refresh();
  if (!byId("panel").open) byId("panel").show();
  soon(render);
  parts.title.focus({ preventScroll: true });
  byId("panel").scrollTop = 0;
}

export function close() {
  id = null;
  client.unsubscribe("panel");
  byId("panel").close();
}

function hear(collection) {
  const task = collection.items.get(id);
  if (!task || task === live) return;
  live = task;
  timer ||= setTimeout(refresh, AGAIN_MS);
  soon(render);
}

async function refresh() {
  timer = 0;
  const asked = id;
  try {
    const task = await read(`api/v1/tasks/${encodeURIComponent(asked)}`);
    if (asked === id) whole = task;
  } catch (error) {
    if (asked !== id || live || whole) return;
    if (error.body?.state) whole = error.body; // never heard of, or its record ran out
    else parts.orders.tell("bad", error.message);
  }
  soon(render);
}

function render() {
  if (id === null) return;
  headline();
  const task = known();
  parts.orders.show(task);
  const made = [notices(task), facts(task), attempts(settled(task, whole?.attempts)), values(task)];
  made.forEach((nodes, k) => swap(parts.body.children[k], nodes));
}

const known = () => ({ id, ...whole, ...live });

function headline() {
  const task = known();
  const look = stateLook(task.state ?? "…");
  const time = runtime(task);
  const percent = task.final ? null : share(task.progress);
  mark(parts.state, "data-tone", look.tone);
  parts.state.replaceChildren(shape(look.shape), look.word, ...(time ? [h("span", { className: "time" }, time)] : []),
    ...(percent === null ? [] : [h("progress", { max: 100, value: percent, "aria-label": "Progress" }), h("span", { className: "time" }, `${Math.floor(percent)} %`)]));
  say(title, task.name ?? "Task");
  mark(title, "href", link("task", {}, id));
  say(parts.name, id);
}
