/** Runs a task again: with its own arguments, or with others. */

import { html, useState } from "../../base/view/preact.js";
import { FocusedButton } from "../common/view.js";
import { isCut, readDict, unquote } from "./python-text.js";

/** @param {{task: any, onRun: (body: any) => void, onCancel: () => void, onProblem: (text: string) => void}} props */
export function RerunEditor({ task, onRun, onCancel, onProblem }) {
  const { args, kwargs } = task;
  const cut = [args, kwargs].some(isCut) || [args, kwargs].some((text) => /…|\.\.\./.test(text ?? ""));
  const [text, setText] = useState(cut ? (toJson(kwargs) ?? "") : "");
  const run = () => {
    try {
      onRun(text.trim() ? { kwargs: JSON.parse(text) } : {});
    } catch (error) {
      onProblem(`Invalid keyword arguments: ${error.message}. Enter a JSON object, such as {"order_id": 12}.`);
    }
  };
  const shown = [args && args !== "()" ? args : "", kwargs ?? ""].filter(Boolean).join("\n") || "none";
  return html`<div class="confirm rerun">
    <p>${cut ? "Its arguments are known only in part. Enter all of them as a JSON object of keyword arguments." : "Run the task again with these arguments? To change keyword arguments, enter them as a JSON object."}</p>
    <pre tabindex="0" aria-label="Arguments">${shown}</pre>
    <textarea class="field" rows="3" spellcheck=${false} aria-label="Other keyword arguments, as a JSON object" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
    ${!cut && toJson(kwargs) && !text && html`<button type="button" class="small" onClick=${() => setText(toJson(kwargs))}>Edit its arguments</button>`}
    <${cut ? "button" : FocusedButton} type="button" class="strong" onClick=${run}>Yes, run it again</${cut ? "button" : FocusedButton}>
    <button type="button" onClick=${onCancel}>No</button>
  </div>`;
}

// Only what is the same in Python and JSON: else the reader writes it.
function toJson(text) {
  const pairs = readDict(text);
  if (!pairs) return null;
  const values = pairs.map(([key, value]) => [key, toJsonValue(value)]);
  return values.some(([, value]) => value === undefined) ? null : JSON.stringify(Object.fromEntries(values), null, 1);
}

function toJsonValue(value) {
  if (/^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  if (value === "True" || value === "False") return value === "True";
  if (value === "None") return null;
  return /^['"]/.test(value) && !isCut(value) ? unquote(value) : undefined;
}
