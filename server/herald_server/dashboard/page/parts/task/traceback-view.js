/** A traceback: the project's frames open, those of libraries folded. */

import { copyText } from "../../base/browser/clipboard.js";
import { pluralize } from "../../base/format.js";
import { html, useMemo, useState } from "../../base/view/preact.js";
import { Card } from "../common/view.js";
import { countFrames, countOwnFrames, findOwnFrame, readTraceback, shortenPath } from "./traceback.js";

/** @param {{text: string}} props */
export function Traceback({ text }) {
  const parts = useMemo(() => readTraceback(text), [text]);
  const [isPlain, setPlain] = useState(false);
  const [copied, setCopied] = useState(false);
  const deepest = findOwnFrame(parts);
  const note = `${pluralize(countFrames(parts), "frame")}, ${countOwnFrames(parts)} of the project`;
  const tools = html`<button type="button" class="small" onClick=${async () => (await copyText(text), setCopied(true))}>${copied ? "Copied" : "Copy"}</button>
    <button type="button" class="small" aria-pressed=${String(isPlain)} onClick=${() => setPlain(!isPlain)}>As text</button>`;
  return html`<${Card} title="Traceback" className="traceback" note=${note} tools=${tools}>
    ${isPlain || !deepest ? html`<pre tabindex="0" aria-label="Traceback">${text}</pre>`
      : html`<div role="group" aria-label="Traceback" class="frames">${parts.map((part) => html`<${Part} part=${part} deepest=${deepest} />`)}</div>`}
  </${Card}>`;
}

function Part({ part: { text, frames, library }, deepest }) {
  if (text !== undefined) return html`<p class="frame-text">${text}</p>`;
  if (!library) return frames.map((frame) => html`<${Frame} frame=${frame} isDeepest=${frame === deepest} />`);
  const names = [...new Set(frames.map((frame) => frame.library))];
  return html`<details class="folded"><summary>${pluralize(frames.length, "frame")} of ${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""}</summary>
    ${frames.map((frame) => html`<${Frame} frame=${frame} />`)}</details>`;
}

function Frame({ frame: { path, line, where, code }, isDeepest = false }) {
  return html`<div class="frame" data-deepest=${isDeepest ? "" : null}><p><b title=${path}>${shortenPath(path)}:${line}</b>${where && ` in ${where}`}</p>${code.length > 0 && html`<pre>${unindent(code)}</pre>`}</div>`;
}

function unindent(lines) {
  const depth = Math.min(...lines.map((line) => line.search(/\S|$/)));
  return lines.map((line) => line.slice(depth)).join("\n");
}
