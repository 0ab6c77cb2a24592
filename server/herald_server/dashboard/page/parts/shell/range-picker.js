/** The choice of the time range, which all screens show. */

import * as address from "../../base/address.js";
import { formatRange, PRESETS, TimeRange } from "../../base/context/range.js";
import { byId } from "../../base/dom.js";
import { zone } from "../../base/format.js";
import { html, render, useState } from "../../base/view/preact.js";
import { Menu } from "../common/menu.js";

const CHOICES = [["", "Live"], ...Object.entries(PRESETS).map(([text, [label]]) => [text, label])];

/** Draw it for the present address. */
export function show() {
  const range = new TimeRange(address.readAddress().params.at);
  const name = range.isLive ? "Time range: live" : `Time range: ${range.label}`;
  render(html`<${Menu} label=${html`<span class="range-text">${range.label}</span> <span aria-hidden="true">▾</span>`} name=${name} title="Time range of all screens" className=${range.isLive ? "range" : "range set"}>
    ${(close) => html`<${Choices} range=${range} onChoose=${(text) => (close(), setRange(text))} />`}
  </${Menu}>`, byId("range"));
}

/** Show this range on every screen; Back undoes it. */
export function setRange(text) {
  location.hash = address.linkWith({ at: text || null });
}

function Choices({ range, onChoose }) {
  return html`<div class="range-choices">
    <div class="links">${CHOICES.map(([text, label]) => html`<button type="button" class="quiet" aria-pressed=${String(range.text === text)} onClick=${() => onChoose(text)}>${label}</button>`)}</div>
    <${Span} range=${range} onChoose=${onChoose} />
  </div>`;
}

function Span({ range, onChoose }) {
  const { since, until } = range.chart;
  const [from, setFrom] = useState(toField(since));
  const [to, setTo] = useState(toField(until));
  const [problem, setProblem] = useState("");
  const submit = (event) => {
    event.preventDefault();
    const [start, end] = [fromField(from), fromField(to)];
    if (!(start < end)) return setProblem("The end must be after the start.");
    onChoose(formatRange(start, end));
  };
  return html`<form class="span" onSubmit=${submit}>
    <label>From <input class="field" type="datetime-local" step="1" required value=${from} onInput=${(event) => setFrom(event.target.value)} /></label>
    <label>To <input class="field" type="datetime-local" step="1" required value=${to} onInput=${(event) => setTo(event.target.value)} /></label>
    <span class="fine">${zone.utc ? "UTC" : "local time"}</span>
    <button type="submit" class="small">Apply</button>
    ${problem && html`<p class="fine bad-text" role="alert">${problem}</p>`}
  </form>`;
}

const getOffset = (ms) => (zone.utc ? 0 : new Date(ms).getTimezoneOffset() * 60_000);
const toField = (ms) => new Date(ms - getOffset(ms)).toISOString().slice(0, 19);

function fromField(text) {
  const ms = Date.parse(`${text}Z`);
  return ms + getOffset(ms);
}
