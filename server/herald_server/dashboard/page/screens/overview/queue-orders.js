/** Pausing the queue of a problem, asked for in place, and the queues that are paused. */

import { linkTo } from "../../base/address.js";
import { formatAge, formatTime, pluralize } from "../../base/format.js";
import { get } from "../../base/http.js";
import { html, useEffect, useState } from "../../base/view/preact.js";
import { FocusedButton, Icon } from "../../parts/common/view.js";
import { pauseQueue, resumeQueue } from "../../parts/orders/queue-pause.js";

const MAX_LOOKED_AT = "100"; // of the newest tasks of a name: their queues are offered

/** Return the queues of the newest tasks of a query, the most frequent first. */
async function findQueues(query) {
  const { tasks } = await get(`api/v1/tasks?${new URLSearchParams({ q: query, limit: MAX_LOOKED_AT })}`);
  const counts = new Map();
  for (const { queue } of tasks) if (queue) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

/** Asks in place which queue to pause; `onSaid` gets a sentence about what was done, `onEnd` ends it. */
export function PauseChoice({ problem: { queue, query }, onSaid, onEnd }) {
  const [found, setFound] = useState(queue ? [queue] : null);
  const leave = (text) => (onSaid(text), onEnd());
  useEffect(() => {
    if (!queue) findQueues(query).then((names) => (names.length ? setFound(names) : leave("The queue of these tasks is not known.")), ({ message }) => leave(message));
  }, []);
  const pause = async (name) => {
    leave(`Pausing ${name} …`);
    onSaid(await pauseQueue(name));
  };
  return found && html`<span class="confirm" role="group" aria-label="Pause a queue">Nobody takes tasks from it until you resume it:
    ${found.map((name, k) => html`<${k ? "button" : FocusedButton} type="button" class="danger" key=${name} onClick=${() => pause(name)}>Pause <bdi>${name}</bdi></${k ? "button" : FocusedButton}>`)}
    <button type="button" onClick=${onEnd}>No</button></span>`;
}

/** The paused queues, each with the button that lets it go on. */
export function PausedQueues({ paused, onSaid }) {
  return html`<ul class="problems" aria-label="Paused queues">${paused.map((queue) => html`<${PausedQueue} key=${queue.name} queue=${queue} onSaid=${onSaid} />`)}</ul>`;
}

function PausedQueue({ queue: { name, depth, paused }, onSaid }) {
  const [isBusy, setBusy] = useState(false);
  const resume = async () => {
    setBusy(true);
    onSaid(await resumeQueue(name));
    setBusy(false);
  };
  const detail = [`since ${formatTime(paused.since)}, ${formatAge(paused.since)}`, `by ${paused.who}`, depth === undefined ? "" : `${pluralize(depth, "message")} waiting`];
  return html`<li data-tone="quiet">
    <${Icon} name="half" />
    <div class="problem"><strong>Queue <bdi>${name}</bdi> is paused</strong><p class="fine">${detail.filter(Boolean).join(" · ")}</p></div>
    <div class="problem-actions"><a class="button" href=${linkTo("tasks", { q: `queue:${name}` })}>Tasks</a>
      <button type="button" class="strong" disabled=${isBusy} onClick=${resume}>Resume</button></div>
  </li>`;
}
