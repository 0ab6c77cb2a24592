/** Where a task ran and who sent it, its attempts, and all details. */

import { linkTo, linkWith } from "../../base/address.js";
import { formatAge, formatDuration, formatTime, formatTimestamp } from "../../base/format.js";
import { getStateLook } from "../../base/states.js";
import { html } from "../../base/view/preact.js";
import { Icon } from "../common/view.js";

const TIMES = ["eta", "expires", "submitted_at", "received_at", "started_at", "finished_at", "updated_at", "as_of"];
const PLAIN = ["custom_state", "pid", "routing_key", "priority", "retries", "group_index", "trace_id", "parent_span_id", "source"];
const RELATED = { root_id: "root", parent_id: "parent", group_id: "group" };
const SOURCES = {
  event: "event (reported by a worker)", backend: "backend (read from the result backend)", inspect: "inspect (asked from a worker)",
  submitted: "submitted (Herald sent it)", inferred: "inferred (concluded from other facts)",
};

const hasValue = (it) => it !== undefined && it !== null && it !== "";
const formatLabel = (key) => (key[0].toUpperCase() + key.slice(1)).replace(/_(at|id)$/, "").replaceAll("_", " ");

/** Queue, worker, and how it is related. */
export function Where({ task }) {
  const lines = [
    ...(task.queue ? [["queue", html`<a href=${linkTo("tasks", { q: `queue:${task.queue}` })}>${task.queue}</a>`]] : []),
    ...(task.worker ? [["worker", html`<a href=${linkTo("tasks", { q: `worker:${task.worker}` })}>${task.worker}</a>${task.pid ? `, pid ${task.pid}` : ""}`]] : []),
    ...Object.entries(RELATED).filter(([key]) => task[key]).map(([key, term]) => [key, html`<${Relative} term=${term} id=${task[key]} self=${task.id} />`]),
    ...(task.chord_id ? [["chord", html`<a href=${linkWith({ task: task.chord_id })}>${task.chord_id}</a>`]] : []),
    ...(task.tags?.length ? [["tags", task.tags.map((tag, k) => html`${k ? ", " : ""}<a href=${linkTo("tasks", { q: `tag:"${tag}"` })}>${tag}</a>`)]] : []),
  ];
  return html`<${Facts} lines=${lines} />`;
}

/** Everything else with a name and a short value. */
export function Details({ task }) {
  const lines = [
    ...PLAIN.filter((key) => hasValue(task[key]) && (key !== "routing_key" || task[key] !== task.queue)).map((key) => [key, key === "source" ? (SOURCES[task[key]] ?? task[key]) : String(task[key])]),
    ...TIMES.filter((key) => task[key]).map((key) => [key, html`${formatTimestamp(task[key])}<span class="fine">${Date.parse(task[key]) > Date.now() ? " (future)" : ` ${formatAge(task[key])} ago`}</span>`]),
    ...(Number.isFinite(task.runtime) ? [["runtime", formatDuration(task.runtime)]] : []),
    ...Object.entries(task.stamps ?? {}).map(([name, texts]) => [`stamp ${name}`, texts.join(", ")]),
    ...(task.rev ? [["rev", task.rev]] : []),
  ];
  return html`<${Facts} lines=${lines} />`;
}

export const Facts = ({ lines }) => html`<dl class="facts">${lines.map(([key, it]) => html`<div key=${key}><dt>${formatLabel(key)}</dt><dd>${it}</dd></div>`)}</dl>`;

function Relative({ term, id, self }) {
  if (id === self) return "this task";
  const link = term === "parent" ? html`<a href=${linkWith({ task: id })}>${id}</a>` : term === "group" ? html`<a href=${linkTo("group", {}, id)}>${id}</a>` : id;
  return html`${link} <a href=${linkTo("tasks", { q: `${term}:${id}` })}>${term === "parent" ? "its children" : "all related tasks"}</a>`;
}

/** Each attempt with its times, oldest first. */
export const Attempts = ({ attempts }) => html`<ol class="attempts">${attempts.map((attempt) => html`<${Attempt} key=${attempt.attempt} attempt=${attempt} />`)}</ol>`;

function Attempt({ attempt }) {
  const look = getStateLook(attempt.state);
  const steps = [["received", attempt.received_at], ["started", attempt.started_at], ["ended", attempt.finished_at]].filter(([, at]) => at);
  return html`<li>
    <p class="state" data-tone=${look.tone}><${Icon} name=${look.icon} />${attempt.attempt}. ${look.label}${Number.isFinite(attempt.runtime) && html`<span class="time">${formatDuration(attempt.runtime)}</span>`}</p>
    <p class="steps">${steps.map(([label, at]) => html`<span title=${formatTimestamp(at)}>${label} <b>${formatTime(at)}</b></span>`)}</p>
    ${attempt.worker && html`<p class="fine">${attempt.pid ? `${attempt.worker}, pid ${attempt.pid}` : attempt.worker}</p>`}
    ${attempt.exception && html`<p class="fine id">${attempt.exception}</p>`}
  </li>`;
}
