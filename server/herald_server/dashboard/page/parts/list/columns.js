/** The columns of the task list: how each fills its cell. */

import { h, setAttr, setText } from "../../base/dom.js";
import { formatAge, formatRuntime, formatTime, formatTimestamp, formatWait } from "../../base/format.js";
import { getCreatedAt } from "../../base/metrics.js";

/**
 * @typedef {{label: string, name: string, num?: boolean, title?: string, sort?: string, fields?: string[],
 *            text?: (task: any) => string, hint?: (task: any) => string|null, ticks?: boolean}} Column
 *   `name`: its class; `sort`: the word of the query language; `fields`: what it needs besides
 *   the usual; `text` fills the cell, `hint` its tooltip; `ticks`: changes with the time
 */

const at = (key, label, sort) => ({ label, name: "c-time", sort, fields: [key], text: (task) => (task[key] ? formatTime(task[key]) : ""), hint: (task) => (task[key] ? `${formatTimestamp(task[key])}, ${formatAge(task[key])} ago` : null) });
const text = (key, label, name = "c-text") => ({ label, name, fields: [key], text: (task) => toLine(task[key]), hint: (task) => toLine(task[key]) || null });

/** @type {Record<string, Column>} All columns, in the order of the table. */
export const COLUMNS = {
  state: { label: "State", name: "c-state" },
  when: { label: "When", name: "c-when", sort: "received", title: "When it was received; the age in the tooltip", text: (task) => formatTime(getCreatedAt(task)), hint: (task) => `${formatTimestamp(getCreatedAt(task))}, ${formatAge(getCreatedAt(task))} ago` },
  age: { label: "Age", name: "c-age", num: true, title: "Since it was received", ticks: true, text: (task) => formatAge(getCreatedAt(task)), hint: (task) => formatTimestamp(getCreatedAt(task)) },
  name: { label: "Task", name: "c-name" },
  id: { label: "Id", name: "c-id", text: ({ id }) => id.slice(0, 8), hint: ({ id }) => id },
  detail: { label: "Error · arguments", name: "c-detail", fields: ["args", "kwargs", "exception", "reason"], title: "The error of a failed task, the progress of a running one, else its arguments" },
  queue: text("queue", "Queue", "c-queue"),
  worker: text("worker", "Worker", "c-worker"),
  try: { label: "Try", name: "c-try", num: true, title: "Attempt", text: ({ attempt }) => (attempt > 1 ? String(attempt) : "") },
  progress: { label: "Progress", name: "c-progress" },
  wait: { label: "Waited", name: "c-run", num: true, sort: "wait", title: "From sending to the start", ticks: true, text: formatWait },
  runtime: { label: "Took", name: "c-run", num: true, sort: "runtime", title: "Runtime", ticks: true, text: formatRuntime },
  args: text("args", "Arguments"),
  kwargs: text("kwargs", "Keyword arguments"),
  result: text("result", "Result"),
  exception: text("exception", "Exception"),
  submitted_at: at("submitted_at", "Submitted", "submitted"),
  started_at: at("started_at", "Started", "started"),
  finished_at: at("finished_at", "Finished", "finished"),
  tags: { label: "Tags", name: "c-text", fields: ["tags"], text: ({ tags }) => (tags ?? []).join(" ") },
};

export const DEFAULT_COLUMNS = ["state", "when", "name", "detail", "queue", "worker", "try", "runtime"];

/** What each row needs, whatever is shown. */
const FIELDS = ["id", "name", "state", "attempt", "queue", "worker", "progress", "runtime", "final", "submitted_at", "received_at", "started_at", "updated_at", "eta"];
const MAX_TEXT = 200; // characters of a value that are kept: 100,000 results do not fit into a tab

/** Return the columns of a list of keys as in the address; unknown ones are left out. */
export function parseColumns(words) {
  const wanted = (words ?? "").split(",").filter((key) => key in COLUMNS);
  const chosen = wanted.length ? wanted : DEFAULT_COLUMNS;
  return Object.keys(COLUMNS).filter((key) => chosen.includes(key) || key === "name");
}

/** Return the fields of tasks that these columns need. */
export const getFields = (keys) => [...new Set([...FIELDS, ...keys.flatMap((key) => COLUMNS[key].fields ?? [])])];

/** Return the columns of an export that has what these columns show. */
export function getExportColumns(keys) {
  const own = { when: ["received_at"], age: [], detail: ["args", "kwargs", "exception"], try: ["attempt"], id: [] };
  return [...new Set(["id", ...keys.flatMap((key) => own[key] ?? [key])])];
}

/** Return a task with these fields only, and no long value. */
export function pickFields(task, fields) {
  return Object.fromEntries(fields.filter((key) => task[key] !== undefined).map((key) => [key, cut(task[key])]));
}

const cut = (value) => (typeof value === "string" && value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value);

/** A value on one line. */
export function toLine(value) {
  if (value === undefined || value === null) return "";
  return (typeof value === "string" ? value : JSON.stringify(value)).slice(0, MAX_TEXT).replace(/\s+/g, " ");
}

/** Fill the cell of the error, the progress or the arguments. */
export function fillDetail(cell, task) {
  const { exception, state, reason } = task;
  const given = [task.args, task.kwargs].map(toLine).filter((each) => each && each !== "()" && each !== "{}").join(" ");
  if (exception && state !== "SUCCESS") fillError(cell, toLine(exception), given);
  else fillPlain(cell, state === "LOST" && reason ? [reason, given].filter(Boolean).join(" · ") : given);
}

function fillPlain(cell, words) {
  setText(cell, words);
  setAttr(cell, "title", words || null);
  cell.dataset.shown = "";
}

// The type of an exception stands out, as `IntegrityError: duplicate key`.
function fillError(cell, words, given) {
  const whole = [words, given].filter(Boolean).join(" · ");
  if (cell.dataset.shown === whole) return;
  const [, type = "", rest = words] = /^([\w.]+(?:Error|Exception|Exit|Interrupt|Lost[A-Za-z]*|[A-Z]\w+))(?=[(: ]|$)(.*)$/s.exec(words) ?? [];
  cell.replaceChildren(...(type ? [h("b", {}, type)] : []), rest, given ? ` · ${given}` : "");
  cell.dataset.shown = whole;
  setAttr(cell, "title", whole);
}
