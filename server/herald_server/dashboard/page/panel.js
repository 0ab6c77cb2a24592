/** The panel of one task: all that is known, live, and the button that cancels. */

import * as address from "./address.js";
import { byId, everySecond, h, mark, say, shape, soon } from "./dom.js";
import { attempts, facts, notices, values } from "./details.js";
import { runtime } from "./format.js";
import { cancel, read } from "./rest.js";
import { share } from "./row.js";
import { stateLook } from "./states.js";

const AGAIN_MS = 500; // attempts come over HTTP; no faster than this

let client = null;
let id = null;
let live = null; // the task as pushed
let whole = null; // the task as read, with its attempts
let answer = null; // to the cancel button: {tone, text}
let asking = false;
let timer = 0;
let closed = () => {};

const parts = {
  title: h("h2", { id: "panel-title", tabIndex: -1 }),
  state: h("p", { className: "state big" }),
  name: h("p", { className: "id" }),
  actions: h("div", { className: "actions" }),
  body: h("div", { className: "details" }, ["", "", "", ""].map(() => h("div"))),
};
const shut = h("button", { type: "button", className: "quiet shut", "aria-label": "Close", title: "Close (Esc)" }, "×");

/** Wire the panel; `afterwards` runs when it was closed. */
export function show(connected, afterwards) {
  client = connected;
  closed = afterwards;
  shut.addEventListener("click", close);
  byId("panel").append(h("header", {}, parts.state, shut, parts.title, parts.name), parts.actions, parts.body);
  everySecond(() => isOpen() && headline());
}

/** Write everything anew, as when times changed their zone. */
export const redraw = () => soon(render);

export const isOpen = () => id !== null;

/** Show the task of this id. */
export function open(wanted) {
  if (id === wanted) return;
  id = wanted;
  live = whole = answer = null;
  asking = false;
  clearTimeout(timer);
  timer = 0;
  parts.actions.replaceChildren();
  client.subscribe({ id: "panel", filter: { ids: [id] } }, hear);
  refresh();
  if (!byId("panel").open) byId("panel").show();
  soon(render);
  parts.title.focus({ preventScroll: true });
  byId("panel").scrollTop = 0;
}

export function close() {
  if (!isOpen()) return;
  id = null;
  client.unsubscribe("panel");
  byId("panel").close();
  address.write({ task: null });
  closed();
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
    if (asked === id && !live && !whole) answer = { tone: "bad", text: error.message };
  }
  soon(render);
}

function render() {
  if (!isOpen()) return;
  headline();
  const task = known();
  const made = [actions(task), notices(task), facts(task), attempts(whole?.attempts), values(task)];
  made.forEach((nodes, k) => swap(k ? parts.body.children[k - 1] : parts.actions, nodes));
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
  say(parts.title, task.name ?? "Task");
  say(parts.name, id);
}

// What stays the same stays in place: under a pointer, in focus, selected.
function swap(holder, nodes) {
  const made = h("div", {}, nodes);
  if (made.innerHTML !== holder.innerHTML) holder.replaceChildren(...made.childNodes);
}

function actions(task) {
  const copy = button("Copy id", () => clip(task.id).then(() => say(copy, "Copied")));
  const said = answer ? [h("p", { className: "answer", role: "status", "data-tone": answer.tone }, answer.text)] : [];
  if (task.final || !task.state) return [copy, ...said];
  if (!asking) return [copy, button("Cancel task …", () => ask(true), "danger"), ...said];
  const sure = h("span", { className: "sure" }, "Stop it for good?", button("Yes, cancel it", revoke, "danger strong"), button("No", () => ask(false)));
  return [copy, sure, ...said];
}

// Without https there is no clipboard to write to; a selection can still be copied.
async function clip(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  getSelection().selectAllChildren(parts.name);
  document.execCommand("copy");
}

function ask(yes) {
  asking = yes;
  render();
  parts.actions.querySelector(".danger")?.focus();
}

async function revoke() {
  const asked = id;
  asking = false;
  answer = { tone: "wait", text: "Asking the worker …" };
  render();
  const outcome = await cancel(asked).then(granted, (error) => ({ tone: "bad", text: error.message }));
  if (asked !== id) return;
  answer = outcome;
  render();
}

function granted({ status, message }) {
  return { tone: status === "revoked" ? "good" : "warn", text: message ? `${status}: ${message}` : status };
}

function button(text, act, look = "") {
  const it = h("button", { type: "button", className: look }, text);
  it.addEventListener("click", act);
  return it;
}
