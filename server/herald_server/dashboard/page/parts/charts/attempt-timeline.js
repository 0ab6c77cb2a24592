/** The attempts of a task on one time axis: thin while waiting, thick while running. */

import { now } from "../../base/clock.js";
import { h, svg } from "../../base/dom.js";
import { formatDuration, formatTime } from "../../base/format.js";
import { getStateLook } from "../../base/states.js";

const ROW = 30;
const TOP = 8;
const AXIS = 22;
const LEFT = 120;
const RIGHT = 90;
const MIN_WIDTH = 3; // least width of a run in pixels

/** @param {any} task @param {any[]} attempts */
export class AttemptTimeline {
  el = h("div", { className: "attempt-timeline" });
  #shown = [null, []];

  /** Follow the width of the container until the returned function is called. */
  observeSize() {
    const observer = new ResizeObserver(() => this.show(...this.#shown));
    observer.observe(this.el);
    return () => observer.disconnect();
  }

  show(task, attempts) {
    this.#shown = [task, attempts];
    const width = this.el.clientWidth;
    if (!task || !width) return;
    const runs = attempts.map((attempt) => toRun(attempt)).filter((run) => run.from !== null);
    if (!runs.length) return this.el.replaceChildren();
    const since = Math.min(...runs.map((run) => run.from), parseTime(task.submitted_at) ?? Infinity);
    const until = Math.max(...runs.map((run) => run.to), since + 1);
    const x = (at) => LEFT + ((at - since) / (until - since)) * (width - LEFT - RIGHT);
    const height = TOP + ROW * runs.length + AXIS;
    const image = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": describeRuns(runs) });
    if (parseTime(task.submitted_at) !== null) image.append(drawSubmission(x(parseTime(task.submitted_at)), height, `submitted ${formatTime(task.submitted_at)}`));
    runs.forEach((run, k) => image.append(...drawRun(run, k, x, width)));
    image.append(drawText(LEFT, height - 6, formatTime(since), "start"), drawText(width - RIGHT, height - 6, formatTime(until), "end"));
    this.el.replaceChildren(image);
  }
}

function toRun({ attempt, state, received_at, started_at, finished_at, worker, runtime }) {
  const [received, started, ended] = [parseTime(received_at), parseTime(started_at), parseTime(finished_at)];
  const from = received ?? started ?? ended;
  const isRunning = ended === null && (state === "STARTED" || state === "RECEIVED");
  return { attempt, state, worker, from, started: started ?? ended, to: ended ?? (isRunning ? now() : (started ?? from)), isRunning, runtime };
}

function drawRun(run, k, x, width) {
  const y = TOP + ROW * k + ROW / 2;
  const look = getStateLook(run.state);
  const [begin, mid, end] = [x(run.from), x(run.started ?? run.to), x(run.to)];
  const title = svg("title", {}, `attempt ${run.attempt}: ${look.label}${run.worker ? ` on ${run.worker}` : ""}`);
  return [
    drawText(0, y + 4, `${run.attempt}. ${look.label}`, "start", "label"),
    svg("rect", { class: "wait", x: begin, y: y - 1.5, width: Math.max(mid - begin, 0), height: 3 }),
    svg("rect", { class: run.isRunning ? "run going" : "run", "data-tone": look.tone, x: mid, y: y - 8, width: Math.max(end - mid, MIN_WIDTH), height: 16, rx: 3 }, title),
    drawText(width - RIGHT + 8, y + 4, run.started === null ? "" : formatDuration(run.runtime ?? (run.to - run.started) / 1_000), "start"),
  ];
}

function drawSubmission(x, height, title) {
  return svg("line", { class: "sent", x1: x, x2: x, y1: 0, y2: height - AXIS }, svg("title", {}, title));
}

const drawText = (x, y, content, anchor, look = "axis") => svg("text", { class: look, x, y, "text-anchor": anchor }, content);
const parseTime = (at) => (at ? Date.parse(at) : null);
const describeRuns = (runs) => runs.map((run) => `attempt ${run.attempt}, ${getStateLook(run.state).label}, ${formatDuration((run.to - (run.started ?? run.from)) / 1_000)}`).join("; ");
