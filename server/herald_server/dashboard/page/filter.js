/**
 * The filter grammar: `name:reports.* state:FAILURE,RETRY worker:w1@* queue:mail`.
 * Keys are AND, commas are OR, `*` and `?` are wild, quotes keep spaces. Pure.
 */

import { STATES } from "./states.js";

const KEYS = ["ids", "name", "state", "worker", "queue", "root", "parent", "group", "tag"];
const ALIASES = { id: "ids", task: "name", states: "state", host: "worker", tags: "tag" };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A filter that cannot be read; its message says what to write. */
export class FilterError extends Error {}

/**
 * Read a filter as written; throws `FilterError`.
 * @param {string} text
 * @returns {Record<string, string[]>} empty: all tasks
 */
export function parse(text) {
  /** @type {Record<string, string[]>} */
  const filter = {};
  for (const word of text.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []) {
    const [key, values] = term(word);
    filter[key] = [...new Set([...(filter[key] ?? []), ...values])];
  }
  return filter;
}

/** Write a filter so that `parse` reads the same one. */
export function format(filter) {
  return Object.entries(filter)
    .filter(([, values]) => values.length)
    .map(([key, values]) => `${key === "ids" ? "id" : key}:${values.map(quote).join(",")}`)
    .join(" ");
}

/** The filter with one value of a key turned on or off. */
export function toggled(filter, key, value) {
  const values = filter[key] ?? [];
  const others = values.filter((each) => each !== value);
  return { ...filter, [key]: others.length < values.length ? others : [...values, value] };
}

function term(word) {
  const cut = word.search(/[:"]/);
  if (cut < 1 || word[cut] !== ":") return bare(word.replaceAll('"', ""));
  const key = known(word.slice(0, cut).toLowerCase());
  const values = split(word.slice(cut + 1));
  if (!values.length) throw new FilterError(`Write what ${key} should be: ${key}:${example(key)}`);
  return [key, key === "state" ? values.map(state) : values];
}

function bare(word) {
  if (UUID.test(word)) return ["ids", [word.toLowerCase()]];
  return ["name", [/[*?]/.test(word) ? word : `*${word}*`]];
}

function known(key) {
  const name = ALIASES[key] ?? key;
  if (KEYS.includes(name)) return name;
  const near = KEYS.find((each) => each.startsWith(key.slice(0, 2)));
  const hint = near ? `did you mean ${near}:?` : `there are ${KEYS.join(", ")}.`;
  throw new FilterError(`There is no filter word “${key}:”; ${hint}`);
}

function state(word) {
  const upper = word.toUpperCase();
  if (upper in STATES) return upper;
  const fits = Object.keys(STATES).filter((name) => upper && name.startsWith(upper));
  const choice = (fits.length ? fits : Object.keys(STATES)).join(", ");
  throw new FilterError(`There is no state “${word}”; write ${choice}.`);
}

function split(text) {
  const values = text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];
  return values.map((each) => each.replaceAll('"', "")).filter(Boolean);
}

const quote = (value) => (/[\s,:]/.test(value) ? `"${value}"` : value);
const example = (key) => (key === "state" ? "FAILURE,RETRY" : key === "name" ? "reports.*" : "…");
