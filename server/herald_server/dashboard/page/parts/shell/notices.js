/** Browser notifications: of tasks that match a view, and of new problems. Asked for by a click only. */

import { linkTo } from "../../base/address.js";
import { keepChoice, readChoice } from "../../base/browser/storage.js";
import { pluralize } from "../../base/format.js";

const KEY = "herald.notices";
const GATHER_MS = 3_000; // tasks of this time are told in one notice
const ASK_MS = 10_000; // a hidden page asks for problems itself
const MAX_SEEN = 5_000;

let services = null; // {client, attention}
let gathered = []; // tasks that are told next
let seen = new Set();
let known = null; // keys of the problems that were told
let timer = 0;

/** Begin with what was chosen in this browser. */
export function mount(shared) {
  services = shared;
  readPermission();
  services.attention.onFound = onProblems;
  setInterval(() => document.hidden && read().problems && services.attention.send(), ASK_MS);
  watch();
}

/** Whether the page must stay connected while it is hidden. */
export const isOn = () => isAllowed() && Boolean(read().problems || read().view !== undefined);

/** Whether notices of a view (a query), or of problems (null), are on. */
export const isOnFor = (query) => isAllowed() && (query === null ? Boolean(read().problems) : read().view === query);

/** Turn notices on or off; returns why they cannot be turned on, or "". */
export async function toggle(query) {
  if (isOnFor(query)) return write(query === null ? { problems: false } : { view: undefined });
  if (typeof Notification === "undefined") return "This browser has no notifications for pages of this address; it needs HTTPS.";
  await Notification.requestPermission();
  readPermission();
  if (!allowed) return "The browser does not allow notifications of this page.";
  return write(query === null ? { problems: true } : { view: query });
}

// The browser answers slowly: it is asked at the start and after a click.
let allowed = false;
const isAllowed = () => allowed;

function readPermission() {
  allowed = typeof Notification !== "undefined" && Notification.permission === "granted";
}

async function watch() {
  services.client.unsubscribe("notices");
  const { view } = read();
  if (view === undefined || !isAllowed()) return;
  const { splitWords, toFilter } = await import("../../base/query.js"); // the first screen does without
  if (view !== read().view) return;
  seen = new Set();
  services.client.subscribe({ id: "notices", filter: toFilter(splitWords(view)).filter, limit: 10, fields: ["id", "name", "state", "updated_at"] }, (tasks, change) => {
    if (change.told && tasks.synced) onTasks(change.told.put, view);
  });
}

function onTasks(tasks, view) {
  const fresh = tasks.filter(({ id }) => !seen.has(id));
  for (const { id } of fresh) seen.add(id);
  if (seen.size > MAX_SEEN) seen = new Set([...seen].slice(-MAX_SEEN / 2));
  gathered.push(...fresh);
  if (fresh.length && !timer) timer = setTimeout(() => tellTasks(view), GATHER_MS);
}

function tellTasks(view) {
  const found = gathered;
  [gathered, timer] = [[], 0];
  const names = [...new Set(found.map(({ name }) => name ?? "task"))].slice(0, 3).join(", ");
  tell(`${pluralize(found.length, "task")}: ${view || "all tasks"}`, names, found.length === 1 ? linkTo("task", {}, found[0].id) : linkTo("tasks", { q: view }), "tasks");
}

function onProblems(problems) {
  const before = known;
  known = new Set((problems ?? []).map(({ key }) => key));
  if (!before || !problems || !read().problems || !isAllowed()) return;
  for (const one of problems.filter(({ key }) => !before.has(key)).slice(0, 3)) tell(one.title, one.detail.filter(Boolean).join(" · "), linkTo("overview"), one.key);
}

function tell(title, body, href, tag) {
  const notice = new Notification(title, { body, tag: `herald ${tag}` });
  notice.onclick = () => {
    window.focus();
    location.hash = href;
    notice.close();
  };
}

const read = () => readChoice(KEY, {});

function write(change) {
  keepChoice(KEY, { ...read(), ...change });
  watch();
  return "";
}
