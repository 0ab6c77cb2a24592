/** What can be done about a problem: its links, and the orders that fit it. */

import { now } from "../../base/clock.js";
import { formatCount } from "../../base/format.js";
import { html, useState } from "../../base/view/preact.js";
import { Lazy } from "./lazy.js";

const RECENT_MS = 5 * 60_000; // what the figures of failing names are of

// Those that were counted: by when they failed, not when they were received.
async function retry({ query }) {
  const { openBulkSheet } = await import("../../parts/orders/bulk-sheet.js");
  openBulkSheet({ action: "retry", query: `${query} finished:>${new Date(now() - RECENT_MS).toISOString()}` });
}

/** @param {{problem: import("../../base/context/problems.js").Problem, onMute: () => void, onSaid: (text: string) => void}} props */
export function Actions({ problem, onMute, onSaid }) {
  const [first, ...rest] = problem.links;
  return html`<div class="problem-actions">
    ${first && html`<a class=${problem.tone === "bad" ? "button strong" : "button"} href=${first.href}>${first.label}</a>`}
    ${rest.map(({ label, href }) => html`<a class="button" href=${href}>${label}</a>`)}
    ${problem.name && problem.query && html`<button type="button" onClick=${() => retry(problem)}>Retry ${formatCount(problem.count)} …</button>`}
    ${(problem.queue || (problem.name && problem.query)) && html`<${Pause} problem=${problem} onSaid=${onSaid} />`}
    <button type="button" class="quiet" aria-label=${`Mute for 8 hours: ${problem.title}`} title="Hide it in this browser for 8 hours" onClick=${onMute}>Mute</button>
  </div>`;
}

function Pause({ problem, onSaid }) {
  const [isAsked, setAsked] = useState(false);
  if (isAsked) return html`<${Lazy} name="PauseChoice" problem=${problem} onSaid=${onSaid} onEnd=${() => setAsked(false)} />`;
  return html`<button type="button" onClick=${() => setAsked(true)}>${problem.queue ? "Pause …" : "Pause queue …"}</button>`;
}
