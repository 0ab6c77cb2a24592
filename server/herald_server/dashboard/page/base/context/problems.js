/**
 * What needs a person: found in the live collections and in the figures of the server.
 * Pure but for the clock.
 *
 * @typedef {{key: string, tone: "bad"|"warn", title: string, detail: string[], since: number|null,
 *            name?: string, queue?: string, worker?: string, schedule?: any,
 *            links: {label: string, href: string}[], query?: string, count?: number}} Problem
 *   `since`: ms, null if not known; `query` selects its tasks, which can be retried
 */

import { linkTo } from "../address.js";
import { formatAge, formatAtLeast, formatCount, formatPercent, formatRate, formatTime, pluralize, showTimes } from "../format.js";
import { describeUnanswered, isStranded, mayBeStranded } from "../metrics.js";

const MAX_OF_KIND = 3; // more of one kind are told in one line

/** Return the problems, the worst first; null until known. @returns {Problem[]|null} */
export function findProblems({ live, figures }) {
  if (!live.workers.synced || !live.queues.synced || !live.counts.synced || !figures) return null;
  const value = figures.value ?? {};
  const workers = [...live.workers.items.values()];
  const queues = [...live.queues.items.values()];
  return [
    ...findWithoutWorkers(workers),
    ...group((value.failing ?? []).filter((one) => one.unusual), fromFailing, foldFailing),
    ...group(queues.filter(isStranded), fromStranded, foldStranded),
    ...group(workers.filter(({ state }) => state === "silent"), fromSilent, foldSilent),
    ...findTrouble(value.health, figures.error),
    ...group(queues.filter(mayBeStranded), fromUnanswered, foldUnanswered),
    ...group([...(live.schedules?.items.values() ?? [])].filter(needsAttention), fromSchedule, foldSchedules),
    ...findLost(live.count("LOST"), value.suspects),
    ...findLong(value),
    ...findGaps(value.health?.gaps ?? []),
  ];
}

const group = (found, one, many) => (found.length > MAX_OF_KIND ? [many(found)] : found.map(one));

function findWithoutWorkers(workers) {
  if (workers.some(({ state }) => state === "online" || state === "draining")) return [];
  const title = workers.length ? "No worker is online" : "No worker is known";
  return [{ key: "workers", tone: "bad", title, detail: ["Nothing runs until one starts."], since: null, links: [{ label: "Workers", href: linkTo("workers") }] }];
}

function fromFailing({ name, failed, rate, normal }) {
  const query = `name:${name} state:FAILURE`;
  return { key: `failing ${name}`, tone: "bad", name, since: null, query, count: failed, title: `${name} fails ${formatPercent(rate)}`,
    detail: [normal === undefined ? "" : `usually ${formatPercent(normal)}`, `${pluralize(failed, "failure")} in 5 min`],
    links: [{ label: `Show ${formatCount(failed)}`, href: recentTasks(query) }] };
}

function foldFailing(found) {
  const failed = found.reduce((n, one) => n + one.failed, 0);
  return { key: "failing", tone: "bad", since: null, query: "state:FAILURE", count: failed, title: `${found.length} task names fail unusually often`,
    detail: [joinNames(found), `${pluralize(failed, "failure")} in 5 min`], links: [{ label: "Show tasks", href: recentTasks("state:FAILURE") }] };
}

const recentTasks = (query) => linkTo("tasks", { q: query, at: "5m" });

function fromStranded({ name, depth, oldest_at: oldest, in_per_minute: into }) {
  return { key: `queue ${name}`, tone: "bad", queue: name, since: Date.parse(oldest ?? "") || null, title: `Queue ${name}: no consumer`,
    detail: [`${pluralize(depth ?? 0, "message")} waiting`, into > 0 ? `${formatRate(into)} /min arriving` : "", "start a worker with -Q " + name],
    links: [{ label: "Queue", href: linkTo("queues") }, { label: "Tasks", href: linkTo("tasks", { q: `queue:${name}` }) }] };
}

const foldStranded = (found) => ({ key: "queues", tone: "bad", since: oldestOf(found), title: `${found.length} queues without a consumer`,
  detail: [joinNames(found), `${pluralize(sum(found, "depth"), "message")} waiting`], links: [{ label: "Queues", href: linkTo("queues") }] });

const fromUnanswered = (queue) => ({ key: `queue? ${queue.name}`, tone: "warn", queue: queue.name, since: Date.parse(queue.oldest_at ?? "") || null, title: `Queue ${queue.name}: perhaps no consumer`,
  detail: [describeUnanswered(queue), `${pluralize(queue.depth, "message")} waiting`], links: [{ label: "Queue", href: linkTo("queues") }] });

const foldUnanswered = (found) => ({ key: "queues?", tone: "warn", since: oldestOf(found), title: `${found.length} queues perhaps without a consumer`,
  detail: [joinNames(found), "some workers did not answer"], links: [{ label: "Queues", href: linkTo("queues") }] });

function fromSilent({ hostname, last_heartbeat_at: at, active }) {
  return { key: `worker ${hostname}`, tone: "bad", worker: hostname, since: Date.parse(at ?? "") || null, title: `Worker ${hostname} is silent`,
    detail: [`last heartbeat ${formatTime(at)}`, active ? `${pluralize(active, "task")} running there` : "no task running there"],
    links: [{ label: "Tasks", href: linkTo("tasks", { q: `worker:${hostname}` }) }, { label: "Workers", href: linkTo("workers") }] };
}

const foldSilent = (found) => ({ key: "silent", tone: "bad", since: Math.min(...found.map((one) => Date.parse(one.last_heartbeat_at))) || null, title: `${found.length} workers are silent`,
  detail: [joinNames(found.map(({ hostname }) => ({ name: hostname }))), `${pluralize(sum(found, "active"), "task")} running there`], links: [{ label: "Workers", href: linkTo("workers") }] });

function fromSchedule({ id, name, state, last_run: last, problems: [worst] }) {
  const at = last?.submitted_at ?? last?.received_at;
  return { key: `schedule ${id}`, tone: isMissing(state) ? "bad" : "warn", since: Date.parse(worst.since) || null, title: `${name} ${SCHEDULE_VERBS[worst.kind] ?? worst.kind}`,
    detail: [showTimes(worst.message), at ? `last run ${formatTime(at)}` : "no run is known"], links: [{ label: "Schedule", href: linkTo("schedule", {}, id) }] };
}

const SCHEDULE_VERBS = { missed: "did not run", late: "is late", failed: "failed", overlapping: "runs longer than its interval", beat_silent: "did not run: beat is silent" };
const isMissing = (state) => state === "missed" || state === "beat_silent";
const needsAttention = ({ muted, problems }) => !muted && problems?.length > 0;

const foldSchedules = (found) => ({ key: "schedules", tone: found.some(({ state }) => isMissing(state)) ? "bad" : "warn", since: Math.min(...found.map(({ problems }) => Date.parse(problems[0].since))) || null,
  title: `${found.length} periodic tasks ${found.every(({ state }) => isMissing(state)) ? "did not run" : "need attention"}`,
  detail: [joinNames(found), found.some(({ state }) => state === "beat_silent") ? "the scheduler submits nothing: check celery beat" : ""], links: [{ label: "Schedule", href: linkTo("schedule") }] });

function findLost(lost, suspects) {
  if (!lost) return [];
  const newest = (suspects ?? []).filter(({ why }) => why === "lost").map(({ task }) => task).sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1))[0];
  return [{ key: "lost", tone: "warn", since: null, query: "state:LOST", count: lost, title: `${pluralize(lost, "task")} lost`,
    detail: [newest?.reason ?? "their outcome is not known", newest ? `the newest ${formatAge(newest.updated_at)} ago` : ""],
    links: [{ label: `Show ${formatCount(lost)}`, href: linkTo("tasks", { q: "state:LOST", at: null }) }] }];
}

function findLong({ suspects = [], suspects_counts: counts, suspects_whole: whole = true }) {
  const found = suspects.filter(({ why }) => why === "long");
  const n = Math.max(counts?.long ?? 0, found.length);
  if (!n) return [];
  const first = found.map(({ task }) => task).sort((a, b) => (a.started_at < b.started_at ? -1 : 1))[0];
  const one = n === 1 && whole && first;
  return [{ key: "long", tone: "warn", since: Date.parse(first?.started_at ?? "") || null,
    title: one ? `${first.name} runs unusually long` : `${formatAtLeast(n, whole)} tasks run unusually long`,
    detail: ["longer than 99 % of the runs with this name"],
    links: [one ? { label: "Task", href: linkTo("task", {}, first.id) } : { label: "Running tasks", href: linkTo("tasks", { q: "state:STARTED", at: null }) }] }];
}

function findTrouble(health, error) {
  const links = [{ label: "Health", href: linkTo("health") }];
  if (error) return [{ key: "figures", tone: "warn", since: null, title: "Failures are not known", detail: ["The server did not answer."], links }];
  if (!health?.problem) return [];
  return [{ key: "herald", tone: "bad", since: null, title: "Herald does not hear everything", detail: [health.problem], links }];
}

function findGaps(gaps) {
  const open = gaps.filter(({ state }) => state === "open");
  if (!open.length) return [];
  return [{ key: "gap", tone: "warn", since: Date.parse(open[0].since), title: "Events may be missing", detail: [open[0].reason, "a repair is under way"], links: [{ label: "Health", href: linkTo("health") }] }];
}

const sum = (found, key) => found.reduce((n, one) => n + (one[key] ?? 0), 0);
const oldestOf = (found) => found.map(({ oldest_at: at }) => Date.parse(at ?? "")).filter(Number.isFinite).sort((a, b) => a - b)[0] ?? null;

function joinNames(found, most = 3) {
  const names = found.slice(0, most).map((one) => one.name);
  return names.join(", ") + (found.length > most ? ` and ${found.length - most} more` : "");
}
