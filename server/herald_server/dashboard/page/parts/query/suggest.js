/** What may be written next in a query: keys, then values with their counts. Pure. */

import { quote, STATE_WORDS } from "../../base/query.js";
import { STATES } from "../../base/states.js";

const MOST = 10;
const KEYS = [
  ["state:", "one of the states", "state:failed,lost"],
  ["name:", "a task name; part of it suffices"],
  ["error:", "text in the exception or traceback"],
  ["kwargs.", "one argument, such as kwargs.order_id:12345"],
  ["args:", "text in the arguments"],
  ["last:", "received in the last …, such as last:10m"],
  ["since:", "received since, such as since:02:00"],
  ["took:", "runtime, such as took:>10s"],
  ["wait:", "time in the queue, such as wait:>1m"],
  ["worker:", "a worker; the beginning suffices"],
  ["queue:", "a queue"],
  ["tag:", "a tag"],
  ["id:", "an id, or how it begins"],
  ["result:", "text in the result"],
  ["text:", "text anywhere, result and traceback too"],
];
const EXAMPLES = { last: ["10m", "1h", "24h"], since: ["02:00", "today", "yesterday"], took: [">1s", ">10s", ">1m"], runtime: [">1s", ">10s", ">1m"], wait: [">10s", ">1m", ">10m"], sort: ["-runtime", "-wait", "-started", "received"] };

/**
 * Return `[{text, hint}]`; `text` replaces the word that is written.
 * @param {string} word @param {{names: string[], workers: string[], queues: [string, number][], counts: (state: string) => number|null}} known
 */
export function suggest(word, known) {
  const mark = word.startsWith("-") ? "-" : "";
  const body = word.slice(mark.length);
  const cut = body.indexOf(":");
  if (cut > 0) return suggestValues(mark, body.slice(0, cut), body.slice(cut + 1), known);
  const begins = (text) => text.startsWith(body.toLowerCase());
  const keys = KEYS.filter(([key]) => begins(key)).map(([key, hint]) => ({ text: mark + key, hint }));
  if (!body) return keys;
  const states = Object.keys(STATE_WORDS).filter((state) => begins(state) && !STATE_WORDS[state].some((one) => one.toLowerCase() === state)).map((state) => ({ text: mark + state, hint: STATE_WORDS[state].map((one) => STATES[one].label).join(", ") }));
  const names = known.names.filter((name) => name.toLowerCase().includes(body.toLowerCase())).map((name) => ({ text: `${mark}name:${name}`, hint: "task name" }));
  const search = body.length > 1 ? [{ text: mark + body, hint: "in name, arguments, error, or the beginning of the id" }] : [];
  return [...states.slice(0, 3), ...names.slice(0, 5), ...search, ...keys].slice(0, MOST);
}

function suggestValues(mark, key, written, known) {
  const parts = written.split(",");
  const last = parts.pop().replaceAll('"', "").toLowerCase();
  const before = parts.length ? `${parts.join(",")},` : "";
  return listValues(key.toLowerCase(), known)
    .filter(([value]) => value.toLowerCase().includes(last) && !parts.includes(value))
    .slice(0, MOST)
    .map(([value, hint]) => ({ text: `${mark}${key}:${before}${quote(value)}`, hint }));
}

function listValues(key, { names, workers, queues, counts }) {
  if (["state", "status", "states"].includes(key)) return Object.entries(STATES).map(([state, { label }]) => [state, [label, counts(state)].filter((each) => each !== null).join(", ")]);
  if (["name", "task", "type"].includes(key)) return names.map((name) => [name, ""]);
  if (["worker", "host"].includes(key)) return workers.map((worker) => [worker, ""]);
  if (key === "queue") return queues.map(([name, depth]) => [name, depth === undefined ? "" : `${depth} waiting`]);
  return (EXAMPLES[key] ?? []).map((value) => [value, ""]);
}
