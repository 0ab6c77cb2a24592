/** What Herald knows about itself: the connection, its lag, the last event, gaps. */

import { byId, everySecond, h, mark, say, shape } from "./dom.js";
import { ago, clock, count, many } from "./format.js";

const LOOKS = {
  connecting: ["Connecting", "half", "quiet"],
  live: ["Live", "dot", "good"],
  behind: ["Behind", "half", "warn"],
  reconnecting: ["Reconnecting", "again", "warn"],
  stale: ["Stale", "warn", "bad"],
  refused: ["Refused", "cross", "bad"],
  closed: ["Closed", "slash", "quiet"],
};

const pill = h("strong", { className: "pill", id: "connection" });
const why = h("span", { className: "why" });
const lag = fact("Lag", "How long an event took from the worker to this page’s server");
const last = fact("Last event", "When this page last heard of a change or a heartbeat");
const gaps = h("details", { className: "gaps" }, h("summary"), h("ol"));

let state = null;
let told = "";
let eventAt = null; // ms; ours once frames arrive, the server's word until then

/** Fill the strip and keep it true. */
export function show(client) {
  byId("trust").append(pill, why, h("dl", {}, lag.row, last.row), gaps);
  client.observe((now) => {
    state = now;
    render();
  });
  everySecond(ages);
}

/** Note that a change was heard just now, or when the server heard its last one. */
export function heard(at = Date.now()) {
  eventAt = Math.max(eventAt ?? 0, at);
}

export function render() {
  if (!state) return;
  const [word, sign, tone] = LOOKS[state.word];
  const text = state.word === "stale" ? `Stale since ${clock(state.since)}` : word;
  mark(pill, "data-tone", tone);
  pill.replaceChildren(shape(sign), text);
  mark(document.documentElement, "data-connection", state.word);
  document.title = state.word === "live" ? "Herald" : `${text} · Herald`;
  say(why, state.word === "refused" ? "" : state.reason);
  renderGaps(state.gaps);
  announce(text);
  ages();
}

function ages() {
  const speaking = state && ["live", "behind"].includes(state.word);
  const ms = speaking ? state.lagMs : null;
  say(lag.value, ms === null ? "–" : ms < 1_000 ? `${count(Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`);
  mark(lag.row, "data-tone", state?.word === "behind" ? "warn" : null);
  say(last.value, eventAt ? `${ago(eventAt)} ago` : "–");
}

// Once a change of the word, not once a second: a screen reader reads it aloud.
function announce(text) {
  if (text === told) return;
  told = text;
  say(byId("said"), `Connection: ${text}`);
}

function renderGaps(found) {
  gaps.hidden = found === null; // not told yet: neither some nor none
  if (!found) return;
  const open = found.some((gap) => !gap.until || gap.state === "open");
  const [summary, list] = gaps.children;
  mark(gaps, "data-tone", open ? "warn" : found.length ? "wait" : "quiet");
  summary.replaceChildren(shape(found.length ? "warn" : "check"), found.length ? many(found.length, "gap") : "No gaps");
  list.replaceChildren(...(found.length ? found.map(gapLine) : [h("li", {}, NONE)]));
}

const NONE = "A gap is a stretch in which events may be missing. There is none.";

function gapLine(gap) {
  const until = gap.until ? clock(gap.until) : "now";
  const fate = h("strong", {}, gap.state ?? "open");
  return h("li", {}, h("span", { className: "when" }, `${clock(gap.since)} – ${until}`), fate, h("span", {}, gap.reason));
}

function fact(name, title) {
  const value = h("dd", {}, "–");
  return { value, row: h("div", { title }, h("dt", {}, name), value) };
}
