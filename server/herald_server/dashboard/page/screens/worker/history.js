/** What a worker did in the time range: the runs of tasks there, and its changes. */

import { linkTo, linkWith } from "../../base/address.js";
import { now } from "../../base/clock.js";
import { formatRange } from "../../base/context/range.js";
import { formatCount, formatElapsed, formatTime, zone } from "../../base/format.js";
import { usePoll, useScreen } from "../../base/view/hooks.js";
import { html, useState } from "../../base/view/preact.js";
import { Card, Name, State, StateBadge } from "../../parts/common/view.js";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const LIVE_MS = 15 * MINUTE_MS; // what is shown without a time range

export function History({ name, path }) {
  const { range } = useScreen();
  const until = range.until ?? now();
  const since = Math.max(range.since ?? until - LIVE_MS, until - DAY_MS);
  // A range that ends now moves on by whole minutes: the path is the key of the request.
  const [from, to] = range.isFixed ? [since, until] : [since, until].map((ms) => Math.ceil(ms / MINUTE_MS) * MINUTE_MS);
  const query = new URLSearchParams({ at: new Date((from + to) / 2).toISOString(), window: String((to - from) / 1_000) });
  const { value, error, known, send } = usePoll(`${path}/history?${query}`);
  const note = `${formatTime(from)} – ${formatTime(to)}`;
  return html`<${Card} title="What it did" note=${note} tools=${html`<${MomentForm} />`}>
    <${State} known=${known} error=${error} retry=${() => send()}>${() => html`<${Runs} history=${value} name=${name} />`}<//>
  <//>`;
}

/** Asks for a time of the day, and sets the time range to that minute. */
function MomentForm() {
  const [text, setText] = useState("");
  const at = parseClock(text);
  const submit = (event) => {
    event.preventDefault();
    if (at !== null) location.hash = linkWith({ at: formatRange(at, at + MINUTE_MS) });
  };
  return html`<form class="pair" onSubmit=${submit}>
    <input class="field short" placeholder="02:13" value=${text} onInput=${(event) => setText(event.target.value)} aria-label=${`Time of the day, ${zone.utc ? "UTC" : "local"}`} aria-invalid=${text && at === null ? "true" : null} />
    <button type="submit" class="small" disabled=${at === null}>Show that minute</button></form>`;
}

/** Return the last such time of the day in ms; null if the text is none. */
export function parseClock(text) {
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text.trim());
  if (!match) return null;
  const at = new Date(now());
  if (zone.utc) at.setUTCHours(Number(match[1]), Number(match[2]), 0, 0);
  else at.setHours(Number(match[1]), Number(match[2]), 0, 0);
  return at.getTime() > now() ? at.getTime() - DAY_MS : at.getTime();
}

function Runs({ history }) {
  const { runs, changes, state_before: before, message, total, whole } = history;
  return html`<p class="fine">${message}${before ? ` Before: ${before.state} since ${formatTime(before.at)}.` : ""}</p>
    ${changes.length > 0 && html`<ul class="plain">${changes.map((one) => html`<li key=${one.at + one.state}><strong>${one.state}</strong> <span class="fine">${formatTime(one.at)}${one.release ? `, release ${one.release}` : ""}</span></li>`)}</ul>`}
    ${!runs.length && html`<p>${whole ? "No task ran there then." : "No task was found; not all were searched."}</p>`}
    ${runs.length > 0 && html`<div class="scroll"><table class="rows" aria-label="Runs">
      <thead><tr><th scope="col" class="n8">Started</th><th scope="col" class="n8 wide">Ended</th><th scope="col" class="n9">State</th><th scope="col">Task</th><th scope="col" class="n7 num wide">Took</th></tr></thead>
      <tbody>${runs.map((run) => html`<tr key=${`${run.id} ${run.attempt}`}><td>${formatTime(run.started_at)}</td><td class="wide">${run.goes_on ? "runs" : run.finished_at ? formatTime(run.finished_at) : "–"}</td>
        <td><${StateBadge} state=${run.state} /></td><td><a href=${linkTo("task", {}, run.id)}><${Name} name=${run.name} /></a></td><td class="num wide">${run.runtime === undefined ? "–" : formatElapsed(run.runtime)}</td></tr>`)}</tbody></table></div>`}
    ${total > runs.length && html`<p class="fine">The first ${formatCount(runs.length)} of ${formatCount(total)}.</p>`}`;
}
