/**
 * The query language, as far as the page must read it: words, and which of them a live
 * subscription understands. The server parses the whole (server/docs/reference/query-language.md). Pure.
 *
 * @typedef {{raw: string, key: string, values: string[], isExcluded: boolean}} Word
 */

import { STATES } from "./states.js";

const KEYS = { ids: "ids", id: "ids", name: "name", task: "name", type: "name", state: "state", states: "state", status: "state", worker: "worker", host: "worker", queue: "queue", root: "root", parent: "parent", group: "group", tag: "tag", tags: "tag", failure: "failure", cause: "failure" };
const TEXTS = ["text", "args", "kwargs", "result", "error", "exception", "traceback"];
const ID_CHARS = 36;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Words for states; alone, each selects these. */
export const STATE_WORDS = {
  failed: ["FAILURE"], failing: ["FAILURE"], failures: ["FAILURE"], running: ["STARTED"], pending: ["PENDING"], waiting: ["PENDING", "RECEIVED"], queued: ["PENDING", "RECEIVED"],
  succeeded: ["SUCCESS"], successful: ["SUCCESS"], retrying: ["RETRY"], cancelled: ["REVOKED"], canceled: ["REVOKED"], unfinished: ["PENDING", "RECEIVED", "STARTED", "RETRY"],
  finished: ["SUCCESS", "FAILURE", "REVOKED", "REJECTED", "IGNORED"],
  ...Object.fromEntries(Object.keys(STATES).map((state) => [state.toLowerCase(), [state]])),
};

/** Return the words of a query text; an open quote ends at the end. */
export function splitWords(text) {
  return (text.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []).map(toWord);
}

function toWord(raw) {
  const isExcluded = raw.startsWith("-") && raw.length > 1;
  const body = isExcluded ? raw.slice(1) : raw;
  const [, key = "", rest = body] = /^([A-Za-z_][\w.-]*):(.*)$/s.exec(body) ?? [];
  const values = (key ? (rest.match(/(?:[^,"]|"[^"]*"?)+/g) ?? []) : [rest]).filter((value) => value.replaceAll('"', ""));
  return { raw, key: key.includes(".") ? key : key.toLowerCase(), values, isExcluded };
}

/**
 * Return `{filter, isWhole}`: the filter of the words that a subscription understands, and whether
 * these are all. A task that matches the query always matches the filter.
 */
export function toFilter(words) {
  const filter = {};
  let isWhole = true;
  for (const word of words) {
    const part = word.isExcluded ? null : toPart(word);
    // Two words of the same key are alternatives on the server too, except for names without a key.
    if (part) filter[part[0]] = [...new Set([...(filter[part[0]] ?? []), ...part[1]])];
    else isWhole = false;
  }
  return { filter, isWhole };
}

function toPart({ key, values }) {
  if (!key) return toBarePart(values[0] ?? "");
  const name = KEYS[key];
  if (!name || !values.length) return null;
  if (name === "ids" && !values.every((value) => value.length >= ID_CHARS)) return null;
  const found = values.map((value) => expand(name, value));
  return found.every(Boolean) ? [name, found.flat()] : null;
}

function toBarePart(text) {
  if (text.startsWith('"')) return null;
  if (UUID.test(text)) return ["ids", [text.toLowerCase()]];
  const states = STATE_WORDS[text.toLowerCase()];
  if (states) return ["state", states];
  return /[*?]/.test(text) ? ["name", [text]] : null;
}

// As the server expands them: a part of a dotted name, and the beginning of a worker's name, suffice.
function expand(name, value) {
  const text = value.replaceAll('"', "");
  if (name === "state") return findStates(text);
  if (value.startsWith('"') || /[*?]/.test(text)) return [text];
  if (name === "name" && !text.includes(".")) return [text, `${text}.*`, `*.${text}`, `*.${text}.*`];
  if (name === "worker" && !text.includes("@")) return [`${text}*`, `*@${text}*`];
  return [text];
}

function findStates(text) {
  const word = text.toLowerCase();
  if (STATE_WORDS[word]) return STATE_WORDS[word];
  const begun = new Set(Object.keys(STATE_WORDS).filter((known) => known.startsWith(word)).map((known) => STATE_WORDS[known].join()));
  return word.length >= 3 && begun.size === 1 ? [...begun][0].split(",") : null;
}

/**
 * Return whether a task that was pushed matches the words, or null if the page cannot tell:
 * paths into arguments, times and durations are decided by the server.
 */
export function matches(words, task) {
  let known = true;
  for (const word of words) {
    const found = matchWord(word, task);
    if (found === null) known = false;
    else if (found === word.isExcluded) return false;
  }
  return known ? true : null;
}

function matchWord(word, task) {
  if (!word.key && !toBarePart(word.values[0] ?? "")) return hasText(word.values[0] ?? "", [task.name, task.args, task.kwargs, task.exception], task.id);
  if (TEXTS.includes(word.key)) return word.key === "args" || word.key === "kwargs" || word.key === "exception" ? word.values.some((value) => hasText(value, [task[word.key]])) : null;
  const part = toPart({ ...word, isExcluded: false });
  if (!part) return null;
  return word.isExcluded ? matchPart(part, task) : true; // the subscription has decided
}

function matchPart([name, values], task) {
  if (!["name", "state", "worker", "queue"].includes(name)) return null;
  return values.some((value) => toPattern(value).test(task[name] ?? ""));
}

const toPattern = (glob) => new RegExp(`^${glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");

function hasText(value, places, id = "") {
  const text = value.replaceAll('"', "").toLowerCase();
  return id.toLowerCase().startsWith(text) || places.some((place) => place !== undefined && place !== null && String(typeof place === "string" ? place : JSON.stringify(place)).toLowerCase().includes(text));
}

/** Return the text with a value of `state:` added or removed; null removes all. */
export function toggleState(words, state) {
  const [others, present] = [words.filter((word) => !isState(word)), words.filter(isState).flatMap((word) => toPart(word)[1])];
  const states = state === null ? [] : present.includes(state) ? present.filter((one) => one !== state) : [...present, state];
  return [...(states.length ? [`state:${states.join(",")}`] : []), ...others.map((word) => word.raw)].join(" ");
}

const isState = (word) => !word.isExcluded && toPart(word)?.[0] === "state";

/** Return the word `sort:…` of a query; empty: newest first. */
export const getSort = (words) => words.find(({ key }) => key === "sort")?.values[0] ?? "";

/** Return the text with another order. */
export const withSort = (words, sort) => [...words.filter(({ key }) => key !== "sort").map(({ raw }) => raw), ...(sort ? [`sort:${sort}`] : [])].join(" ");

/** Return a word for the query language: quoted where it must be. */
export const quote = (value) => (/[\s,:"]/.test(value) ? `"${value.replaceAll('"', "")}"` : value);
