/** The parts of the panel: a task's facts, attempts and values, as elements. */

import { here, link } from "../address.js";
import { h, shape } from "../dom.js";
import { ago, clock, span, stamp, value } from "../format.js";
import { stateLook } from "../states.js";

const TIMES = ["eta", "expires", "submitted_at", "received_at", "started_at", "finished_at", "updated_at", "as_of"];
const PLAIN = ["custom_state", "worker", "pid", "queue", "routing_key", "priority", "retries", "source"];
const RELATED = { root_id: "root", parent_id: "parent", group_id: "group" };
const VALUES = ["args", "kwargs", "result", "traceback"];
const FINAL = ["SUCCESS", "FAILURE", "REVOKED", "REJECTED", "RETRY"];
const SOURCES = {
  event: "event (a worker said so)", backend: "backend (read from the result backend)",
  inspect: "inspect (a worker was asked)", submitted: "submitted (Herald sent it)",
  inferred: "inferred (nobody said so; it follows)",
};

const NOTHING = {
  UNKNOWN: "Herald has never heard of a task with this id. It will appear here if one comes.",
  EXPIRED: "The record of this task ran out.",
};

/** What a reader must know before trusting the rest. */
export function notices(task) {
  const lost = task.state === "LOST" ? [notice("query", "lost", `${sentence(task.reason) || "No worker and no backend knows this task any more."} It leaves this state if a word of it arrives.`)] : [];
  const concluded = task.state !== "LOST" && task.reason ? [notice(task.final ? "slash" : "query", "quiet", sentence(task.reason))] : [];
  const none = NOTHING[task.state] ? [notice("query", "quiet", NOTHING[task.state])] : [];
  const torn = task.conflict ? [notice("warn", "warn", "The sources disagree about this task; both accounts are in its attempts.")] : [];
  const word = task.progress?.message ? [notice("play", "busy", task.progress.message)] : [];
  const thrown = task.exception ? [notice("cross", task.final ? "bad" : "warn", task.exception, "id")] : [];
  return [...none, ...torn, ...lost, ...concluded, ...thrown, ...(task.final ? [] : word)];
}

/** Everything with a name and a short value. */
export function facts(task) {
  const lines = [
    ...PLAIN.filter((key) => known(task[key])).map((key) => [key, key === "source" ? (SOURCES[task[key]] ?? task[key]) : String(task[key])]),
    ...TIMES.filter((key) => task[key]).map((key) => [key, time(task[key])]),
    ...(Number.isFinite(task.runtime) ? [["runtime", span(task.runtime)]] : []),
    ...Object.entries(RELATED).filter(([key]) => task[key]).map(([key, word]) => [key, related(word, task[key], task.id)]),
    ...(task.tags?.length ? [["tags", task.tags.map((tag) => h("a", { href: link("tasks", { q: `tag:${tag}` }) }, tag))]] : []),
    ...(task.rev ? [["rev", task.rev]] : []),
  ];
  if (!lines.length) return [];
  return [section("Facts", h("dl", { className: "facts" }, lines.map(([key, it]) => h("div", {}, h("dt", {}, label(key)), h("dd", {}, it)))))];
}

/** The attempts, of which the last one ended as its task did where no word of it said so. */
export function settled(task, found) {
  const last = found?.at(-1);
  const over = task?.final || task?.state === "LOST";
  if (!last || !over || FINAL.includes(last.state)) return found ?? [];
  const ended = task.final ? (task.finished_at ?? task.as_of) : task.as_of;
  return [...found.slice(0, -1), { ...last, state: task.state, finished_at: last.finished_at ?? ended }];
}

/** Each attempt with its times, oldest first. */
export function attempts(found) {
  if (!found?.length) return [];
  return [section(`Attempts (${found.length})`, h("ol", { className: "attempts" }, found.map(attempt)))];
}

/** The long values: arguments, result, exception, traceback. */
export function values(task) {
  return VALUES.filter((key) => known(task[key])).map((key) =>
    section(label(key), h("pre", { tabIndex: 0, "aria-label": label(key) }, value(task[key]))));
}

function attempt(it) {
  const look = stateLook(it.state);
  const steps = [["received", it.received_at], ["started", it.started_at], ["ended", it.finished_at]];
  const seen = steps.filter(([, at]) => at);
  return h("li", {},
    h("p", { className: "state", "data-tone": look.tone }, shape(look.shape), `${it.attempt}. ${look.word}`,
      Number.isFinite(it.runtime) ? h("span", { className: "time" }, span(it.runtime)) : null),
    h("p", { className: "steps" }, seen.map(([word, at]) => h("span", { title: stamp(at) }, `${word} `, h("b", {}, clock(at))))),
    it.worker ? h("p", { className: "fine" }, it.pid ? `${it.worker}, pid ${it.pid}` : it.worker) : null,
    it.exception ? h("p", { className: "fine id" }, it.exception) : null);
}

function time(at) {
  return [stamp(at), h("span", { className: "fine" }, Date.parse(at) > Date.now() ? " to come" : ` ${ago(at)} ago`)];
}

function related(word, id, self) {
  if (id === self) return "itself";
  const one = word === "parent" ? h("a", { href: here({ task: id }) }, id) : word === "group" ? h("a", { href: link("group", {}, id) }, id) : id;
  return [one, " ", h("a", { href: link("tasks", { q: `${word}:${id}` }) }, word === "parent" ? "its children" : "all of them")];
}

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}` : "");
const known = (it) => it !== undefined && it !== null && it !== "";
const label = (key) => (key[0].toUpperCase() + key.slice(1)).replace(/_(at|id)$/, "").replaceAll("_", " ");
const section = (title, ...inside) => h("section", {}, h("h3", {}, title), inside);
const notice = (sign, tone, text, look = "") =>
  h("p", { className: "notice", "data-tone": tone }, shape(sign), h("span", { className: look }, text));
