/** The answer first: what became of a task and why, in the order in which one asks. */

import { linkTo, linkWith } from "../../base/address.js";
import { formatCount, formatDuration, formatElapsed, formatRuntime, formatTime } from "../../base/format.js";
import { getElapsed, getPercent } from "../../base/metrics.js";
import { quote } from "../../base/query.js";
import { getStateLook } from "../../base/states.js";
import { usePoll } from "../../base/view/hooks.js";
import { html, useMemo } from "../../base/view/preact.js";
import { Icon, StateBadge } from "../common/view.js";
import { readException } from "./python-text.js";
import { findOwnFrame, readTraceback, shortenPath } from "./traceback.js";
import { Why } from "./why-view.js";

const MISSING = {
  UNKNOWN: "Herald has received no event of a task with this id. If one arrives, it is shown here.",
  EXPIRED: "The record of this task has expired.",
};
const WAITING = ["PENDING", "RECEIVED", "RETRY"];

/** The state with its time and progress. */
export function TaskState({ task }) {
  const look = getStateLook(task.state ?? "…");
  const time = formatRuntime(task);
  const percent = task.final ? null : getPercent(task.progress);
  return html`<p class="state big" data-tone=${look.tone}><${Icon} name=${look.icon} />${look.label}${time && html`<span class="time">${time}</span>`}
    ${percent !== null && html`<progress max="100" value=${percent} aria-label="Progress"></progress><span class="time">${Math.floor(percent)} %</span>`}</p>`;
}

/** The notices below it. @param {{task: any, path: string}} props */
export function Answer({ task, path }) {
  return html`<div class="answers">
    ${MISSING[task.state] && html`<${Notice} icon="query" tone="quiet">${MISSING[task.state]}</${Notice}>`}
    ${task.conflict && html`<${Notice} icon="warn" tone="warn">Sources of this task contradict each other; its attempts show both.</${Notice}>`}
    ${task.state === "LOST" && html`<${Notice} icon="query" tone="lost">${toSentence(task.reason) || "No worker or result backend knows this task."} If a new event arrives, its state is updated.</${Notice}>`}
    ${task.state !== "LOST" && task.reason && html`<${Notice} icon=${task.final ? "slash" : "query"} tone="quiet">${toSentence(task.reason)}</${Notice}>`}
    ${task.exception && html`<${Failure} task=${task} />`}
    ${!task.final && task.progress?.message && html`<${Notice} icon="play" tone="busy">${task.progress.message}</${Notice}>`}
    ${task.state === "STARTED" && html`<${Usual} task=${task} />`}
    ${WAITING.includes(task.state) && html`<${Why} path=${path} state=${task.state} />`}
    ${(task.final || task.state === "LOST") && html`<${Reruns} task=${task} />`}
  </div>`;
}

export const Notice = ({ icon, tone, children }) => html`<p class="notice" data-tone=${tone}><${Icon} name=${icon} /><span>${children}</span></p>`;

function Failure({ task }) {
  const { type, message } = readException(task.exception, task.traceback);
  const frame = useMemo(() => (task.traceback ? findOwnFrame(readTraceback(task.traceback)) : null), [task.traceback]);
  const cause = usePoll(task.failure ? `api/v1/failures/${encodeURIComponent(task.failure)}?window=24h` : null, 60).value;
  const others = task.failure ? `failure:${task.failure}` : `name:${task.name ?? "*"} state:FAILURE${type ? ` error:${quote(type.split(".").at(-1))}` : ""}`;
  const many = cause?.count > 1 ? `${formatCount(cause.count - 1)} others like it` : "Others like it";
  return html`<div class="notice failure" data-tone=${task.final ? "bad" : "warn"}><${Icon} name="cross" /><div>
    <p class="exception">${type && html`<b>${type}</b>${message && ": "}`}${message}</p>
    ${frame && html`<p class="fine">at <span class="id">${shortenPath(frame.path)}:${frame.line}</span>${frame.where && ` in ${frame.where}`}</p>`}
    ${task.final && task.name && html`<p class="fine"><a href=${linkTo("tasks", { q: others, at: "24h" })}>${many}, 24 h</a></p>`}
  </div></div>`;
}

// Compared with the runs of the same name.
function Usual({ task }) {
  const { value } = usePoll(task.name ? "api/v1/types" : null, 60);
  const usual = value?.types.find(({ name }) => name === task.name)?.runtime;
  const elapsed = getElapsed(task);
  if (!usual?.p95 || elapsed === null) return null;
  const slow = elapsed > (usual.p99 ?? usual.p95);
  return html`<${Notice} icon=${slow ? "warn" : "play"} tone=${slow ? "warn" : "quiet"}>Runs for ${formatElapsed(elapsed)}; half of its kind end within ≈ ${formatDuration(usual.p50)}, 95 % within ≈ ${formatDuration(usual.p95)}.</${Notice}>`;
}

/** The runs that repeat it, and the run that it repeats. */
function Reruns({ task }) {
  const { value } = usePoll(`api/v1/tasks?${new URLSearchParams({ tag: `retry_of:${task.id}`, limit: "5" })}`, 15);
  const original = task.tags?.find((tag) => tag.startsWith("retry_of:"))?.slice("retry_of:".length);
  return html`${original && html`<p class="fine">It repeats <a href=${linkWith({ task: original })}>${original.slice(0, 8)}</a>.</p>`}
    ${value?.tasks.map((one) => html`<p class="fine rerun-of" key=${one.id}>Ran again as <a href=${linkTo("task", {}, one.id)}>${one.id.slice(0, 8)}</a> <${StateBadge} state=${one.state} /> ${formatTime(one.finished_at ?? one.updated_at)}</p>`)}`;
}

const toSentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}` : "");
