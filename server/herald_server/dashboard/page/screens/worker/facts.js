/** What a worker says of itself; what it did not say is left out, and named. */

import { linkTo } from "../../base/address.js";
import { formatBusy, formatCount, formatElapsed, formatLag, formatTime, pluralize } from "../../base/format.js";
import { html } from "../../base/view/preact.js";
import { Card, Name } from "../../parts/common/view.js";

const KB_IN_MB = 1_024;
const MAX_REGISTERED = 200;

/** The facts in two columns, and which questions it left open. */
export function Facts({ worker }) {
  const message = worker.asked?.message;
  return html`${message && html`<p class="notice" data-tone="warn">${message}</p>`}
    <dl class="facts">${listFacts(worker).filter(([, it]) => it !== null && it !== undefined && it !== "").map(([key, it]) => html`<div key=${key}><dt>${key}</dt><dd>${it}</dd></div>`)}</dl>`;
}

function listFacts(worker) {
  const { pool_details: pool = {}, rusage = {}, autoscale, settings = {}, clock_skew_ms: skew } = worker;
  const size = pool.processes?.length ?? pool.max_concurrency ?? worker.slots;
  return [
    ["Running", formatBusy({ active: worker.active, slots: size })],
    ["Pool", [worker.pool ?? pool.implementation, size && `size ${formatCount(size)}`, autoscale && `scales from ${autoscale.min} to ${autoscale.max}`].filter(Boolean).join(", ")],
    ["Queues", worker.queues && (worker.queues.map(({ name }) => name).join(", ") || "none")],
    ["Prefetch", worker.prefetch === undefined ? null : `${formatCount(worker.prefetch)}${settings.worker_prefetch_multiplier ? `, multiplier ${settings.worker_prefetch_multiplier}` : ""}`],
    ["Started", worker.started_at && formatTime(worker.started_at)],
    ["Up for", worker.uptime_seconds === undefined ? null : formatElapsed(worker.uptime_seconds)],
    ["Processes", pool.processes && `main ${worker.pid}; ${pool.processes.join(", ")}`],
    ["Memory", rusage.maxrss ? `${formatCount(Math.round(rusage.maxrss / KB_IN_MB))} MB at most, main process` : null],
    ["CPU", rusage.utime === undefined ? null : `${formatElapsed(rusage.utime + (rusage.stime ?? 0))}, main process`],
    ["Clock", skew === undefined ? null : `${skew < 0 ? "−" : "+"}${formatLag(Math.abs(skew))}`],
    ["Software", worker.software],
    ["Release", worker.release],
    ["Late acks", settings.task_acks_late === undefined ? null : settings.task_acks_late ? "yes" : "no"],
    ["Note", worker.note],
  ];
}

/** What it holds, and what it can run. */
export function Held({ worker }) {
  return html`${["active", "reserved", "scheduled"].map((kind) => html`<${TaskCard} key=${kind} kind=${kind} held=${worker[`${kind}_tasks`]} />`)}
    <${Registered} worker=${worker} />`;
}

const TITLES = { active: "Runs now", reserved: "Prefetched", scheduled: "Waits for its time" };

function TaskCard({ kind, held }) {
  if (!held?.total) return null;
  return html`<${Card} title=${TITLES[kind]} note=${pluralize(held.total, "task")}>
    <ul class="plain">${held.tasks.map(({ id, name, started_at: at, eta }) => html`<li key=${id}><a href=${linkTo("task", {}, id)}><${Name} name=${name} /></a>
      <span class="fine">${at ? `since ${formatTime(at)}` : eta ?? ""}</span></li>`)}</ul>
    ${held.total > held.tasks.length && html`<p class="fine">The first ${formatCount(held.tasks.length)} of ${formatCount(held.total)}.</p>`}
  <//>`;
}

function Registered({ worker: { registered, revoked_tasks: revoked, totals = {} } }) {
  if (!registered) return null;
  const note = [pluralize(registered.length, "task"), revoked?.total ? `${formatCount(revoked.total)} revoked ids` : ""].filter(Boolean).join(", ");
  return html`<${Card} title="Registered" note=${note}>
    <ul class="plain">${registered.slice(0, MAX_REGISTERED).map((one) => html`<li key=${one.name}><${Name} name=${one.name} />
      <span class="fine">${describe(one, totals[one.name])}</span></li>`)}</ul>
    ${registered.length > MAX_REGISTERED && html`<p class="fine">The first ${MAX_REGISTERED}.</p>`}
  <//>`;
}

const describe = ({ rate_limit: rate, time_limit: hard, soft_time_limit: soft }, done) =>
  [done ? `${formatCount(done)} run` : "", rate && rate !== "0" ? `at most ${rate}` : "", soft ? `soft limit ${soft} s` : "", hard ? `limit ${hard} s` : ""].filter(Boolean).join(" · ");
