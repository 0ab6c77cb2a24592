/** Arguments as a table with links to the tasks that have the same, and the result. */

import { linkTo } from "../../base/address.js";
import { copyText } from "../../base/browser/clipboard.js";
import { formatValue, pluralize } from "../../base/format.js";
import { get } from "../../base/http.js";
import { quote } from "../../base/query.js";
import { html, useState } from "../../base/view/preact.js";
import { Card } from "../common/view.js";
import { isCut, readDict, readList, unquote } from "./python-text.js";

const MAX_LINK_CHARS = 100; // a longer value is not looked for
const EMPTY = ["", "()", "[]", "{}", "None"];

/** @param {{task: any}} props */
export function Arguments({ task: { args, kwargs } }) {
  const [copied, setCopied] = useState("");
  const given = [args, kwargs].map((each) => (each === undefined || each === null ? "" : formatValue(each)));
  if (given.every((each) => EMPTY.includes(each))) return null;
  const listed = given[0] && !EMPTY.includes(given[0]) ? toRows("args", given[0], readList(given[0])?.map((value, k) => [String(k), value])) : [];
  const named = given[1] && !EMPTY.includes(given[1]) ? toRows("kwargs", given[1], readDict(given[1])) : [];
  const tools = html`<button type="button" class="small" onClick=${async () => (await copyText(given.filter((each) => !EMPTY.includes(each)).join("\n")), setCopied("Copied"))}>${copied || "Copy"}</button>`;
  return html`<${Card} title="Arguments" className="arguments" note=${given.some(isCut) ? "known only in part" : ""} tools=${tools}>
    <dl class="facts mono">${[...listed, ...named].map((row) => html`<${Row} key=${row.key} ...${row} />`)}</dl>
  </${Card}>`;
}

function toRows(place, text, pairs) {
  if (!pairs) return [{ key: place, label: place, value: text, query: null }];
  return pairs.map(([name, value]) => ({ key: `${place}.${name}`, label: place === "args" ? `argument ${name}` : name, value, query: toQuery(place, name, value) }));
}

function toQuery(place, name, value) {
  const text = unquote(value);
  const simple = /^[\w-]+$/.test(name) && !/^[([{<]/.test(value) && text && text.length <= MAX_LINK_CHARS && !isCut(value) && !text.includes("***");
  return simple ? `${place}.${name}:${quote(text)}` : null;
}

function Row({ label, value, query }) {
  return html`<div><dt>${label}</dt><dd><span class="value">${value}</span>${query && html` <a href=${linkTo("tasks", { q: query })} aria-label=${`Tasks with ${query}`}>tasks with it</a>`}</dd></div>`;
}

/** The result, and a button that reads the whole of it from the result backend. */
export function Result({ task, path }) {
  const [whole, setWhole] = useState(null);
  if (!task.final && task.result === undefined) return null;
  const read = async () => setWhole(await get(`${path}/result`).catch((error) => ({ message: error.message })));
  return html`<${Card} title="Values" className="values" tools=${html`<button type="button" class="small" onClick=${read}>Read the whole result</button>`}>
    ${whole && html`<${Whole} ...${whole} />`}
    ${!whole && task.result !== undefined && task.result !== null && html`<pre tabindex="0" aria-label="Result">${formatValue(task.result)}</pre>`}
  </${Card}>`;
}

function Whole({ source, whole, size, result, exception, traceback, message }) {
  const from = source ? `From the ${source === "backend" ? "result backend" : "event"}${whole ? "" : `; cut, ${pluralize(size ?? 0, "byte")} in total`}.` : "";
  const texts = [result, exception, traceback].filter((one) => one !== undefined && one !== null);
  return html`<p class="fine">${[message, from].filter(Boolean).join(" ")}</p>${texts.map((text) => html`<pre tabindex="0" aria-label="Whole result">${formatValue(text)}</pre>`)}`;
}
