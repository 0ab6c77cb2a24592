/**
 * The filter grammar: `name:reports.* state:FAILURE,RETRY worker:w1@* queue:mail`.
 * Keys are AND, commas are OR, `*` and `?` are wildcards, quotes keep spaces. Pure.
 */

import { STATES } from "./states.js";

const KEYS = ["ids", "name", "state", "worker", "queue", "root", "parent", "group", "tag", "failure"];
const ALIASES = { id: "ids", task: "name", states: "state", host: "worker", tags: "tag", cause: "failure" };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A filter with a syntax error; its message says what to write. */
export class FilterError extends Error {}

/**
 * Parse a filter; throws `FilterError`.
 * @param {string} text
 * @returns {Record<string, string[]>} empty: all tasks
 */
export function parseFilter(text) {
  /** @type {Record<string, string[]>} */
  const filter = {};
  for (const word of text.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []) {
    const [key, values] = parseTerm(word);
    filter[key] = [...new Set([...(filter[key] ?? []), ...values])];
  }
  return filter;
}

/** Return the text that `parseFilter` reads as this filter. */
export function formatFilter(filter) {
  return Object.entries(filter)
    .filter(([, values]) => values.length)
    .map(([key, values]) => `${key === "ids" ? "id" : key}:${values.map(quote).join(",")}`)
    .join(" ");
}

/** Return the filter with one value of a key added or removed. */
export function toggleValue(filter, key, value) {
  const values = filter[key] ?? [];
  const others = values.filter((each) => each !== value);
  return { ...filter, [key]: others.length < values.length ? others : [...values, value] };
}

function parseTerm(word) {
  const cut = word.search(/[:"]/);
  if (cut < 1 || word[cut] !== ":") return parseBareWord(word.replaceAll('"', ""));
  const key = resolveKey(word.slice(0, cut).toLowerCase());
  const values = splitValues(word.slice(cut + 1));
  if (!values.length) throw new FilterError(`Write what ${key} should be: ${key}:${example(key)}`);
  return [key, key === "state" ? values.map(parseState) : values];
}

function parseBareWord(word) {
  if (UUID.test(word)) return ["ids", [word.toLowerCase()]];
  return ["name", [/[*?]/.test(word) ? word : `*${word}*`]];
}

function resolveKey(key) {
  const name = ALIASES[key] ?? key;
  if (KEYS.includes(name)) return name;
  const near = KEYS.find((each) => each.startsWith(key.slice(0, 2)));
  const hint = near ? `did you mean ${near}:?` : `there are ${KEYS.join(", ")}.`;
  throw new FilterError(`There is no filter key “${key}:”; ${hint}`);
}

function parseState(word) {
  const upper = word.toUpperCase();
  if (upper in STATES) return upper;
  const fits = Object.keys(STATES).filter((name) => upper && name.startsWith(upper));
  const choice = (fits.length ? fits : Object.keys(STATES)).join(", ");
  throw new FilterError(`There is no state “${word}”; write ${choice}.`);
}

function splitValues(text) {
  const values = text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];
  return values.map((each) => each.replaceAll('"', "")).filter(Boolean);
}

const quote = (value) => (/[\s,:]/.test(value) ? `"${value}"` : value);
const example = (key) => (key === "state" ? "FAILURE,RETRY" : key === "name" ? "reports.*" : "…");
