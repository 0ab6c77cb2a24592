/** What the server suggests besides what the page knows: names, values of arguments, tags. */

import { get } from "../../base/http.js";
import { useEffect, useState } from "../../base/view/preact.js";

const DEBOUNCE_MS = 200;
const MOST = 10;
const KINDS = new Set(["name", "worker", "queue", "tag", "argument", "value"]); // the page has the others
const HINTS = { name: "task name", value: "", worker: "worker", queue: "queue", tag: "tag", argument: "argument" };

/**
 * Return `[{text, hint}]` for the last word of a query `text`, as `suggest` does; empty until the
 * server has answered. A word that is empty asks for nothing.
 * @param {string} text @param {string} word the last word of `text`
 */
export function useServerSuggestions(text, word) {
  const [found, setFound] = useState({ text: "", options: [] });
  useEffect(() => {
    if (!word) return undefined;
    let isCurrent = true;
    const ask = () => get(`api/v1/tasks/suggest?${new URLSearchParams({ q: text, limit: String(MOST) })}`).then(({ suggestions }) => isCurrent && setFound({ text, options: toOptions(suggestions, text, word) }), () => {});
    const timer = setTimeout(ask, DEBOUNCE_MS);
    return () => ((isCurrent = false), clearTimeout(timer));
  }, [text, word]);
  return found.text === text ? found.options : [];
}

/** Let each suggestion stand for the whole last word; the server counts characters, not UTF-16. Pure. */
export function toOptions(suggestions, text, word) {
  const characters = [...text];
  const cut = (from, to) => characters.slice(from, to).join("");
  const begin = characters.length - [...word].length;
  return suggestions.filter(({ kind }) => KINDS.has(kind)).map(({ text: part, kind, hint, replaces: [from, to] }) => ({ text: cut(begin, from) + part + cut(to), hint: hint ?? HINTS[kind] }));
}

/** Append those that are not there yet: what was shown first stays in its place. Pure. */
export function appendNew(options, more) {
  const known = new Set(options.map(({ text }) => text));
  return [...options, ...more.filter(({ text }) => !known.has(text))];
}
