/** The attempts of a task on one axis of time: thin while they waited, thick while they ran. */

import { draw, h } from "../dom.js";
import { clock, span } from "../format.js";
import { now } from "../clock.js";
import { stateLook } from "../states.js";

const ROW = 30;
const TOP = 8;
const AXIS = 22;
const LEFT = 120;
const RIGHT = 90;
const LEAST = 3; // pixels of what is too short to be seen

/** @param {any} task @param {any[]} attempts */
export class Lifeline {
  el = h("div", { className: "lifeline" });
  #shown = [null, []];

  /** Keep it as wide as its place until the returned function is called. */
  live() {
    const sized = new ResizeObserver(() => this.show(...this.#shown));
    sized.observe(this.el);
    return () => sized.disconnect();
  }

  show(task, attempts) {
    this.#shown = [task, attempts];
    const width = this.el.clientWidth;
    if (!task || !width) return;
    const runs = attempts.map((attempt) => times(attempt)).filter((run) => run.from !== null);
    if (!runs.length) return this.el.replaceChildren();
    const since = Math.min(...runs.map((run) => run.from), ms(task.submitted_at) ?? Infinity);
    const until = Math.max(...runs.map((run) => run.to), since + 1);
    const x = (at) => LEFT + ((at - since) / (until - since)) * (width - LEFT - RIGHT);
    const height = TOP + ROW * runs.length + AXIS;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": spoken(runs) });
    if (ms(task.submitted_at) !== null) svg.append(flag(x(ms(task.submitted_at)), height, `submitted ${clock(task.submitted_at)}`));
    runs.forEach((run, k) => svg.append(...row(run, k, x, width)));
    svg.append(text(LEFT, height - 6, clock(since), "start"), text(width - RIGHT, height - 6, clock(until), "end"));
    this.el.replaceChildren(svg);
  }
}

function times({ attempt, state, received_at, started_at, finished_at, worker }) {
  const [received, started, ended] = [ms(received_at), ms(started_at), ms(finished_at)];
  const from = received ?? started ?? ended;
  const going = ended === null && (state === "STARTED" || state === "RECEIVED");
  return { attempt, state, worker, from, started: started ?? ended, to: ended ?? (going ? now() : (started ?? from)), going };
}

function row(run, k, x, width) {
  const y = TOP + ROW * k + ROW / 2;
  const look = stateLook(run.state);
  const [begin, mid, end] = [x(run.from), x(run.started ?? run.to), x(run.to)];
  const title = draw("title", {}, `attempt ${run.attempt}: ${look.word}${run.worker ? ` on ${run.worker}` : ""}`);
  return [
    text(0, y + 4, `${run.attempt}. ${look.word}`, "start", "label"),
    draw("rect", { class: "wait", x: begin, y: y - 1.5, width: Math.max(mid - begin, 0), height: 3 }),
    draw("rect", { class: run.going ? "run going" : "run", "data-tone": look.tone, x: mid, y: y - 8, width: Math.max(end - mid, LEAST), height: 16, rx: 3 }, title),
    text(width - RIGHT + 8, y + 4, run.started === null ? "" : span((run.to - run.started) / 1_000), "start"),
  ];
}

function flag(x, height, said) {
  return draw("line", { class: "sent", x1: x, x2: x, y1: 0, y2: height - AXIS }, draw("title", {}, said));
}

const text = (x, y, words, anchor, look = "axis") => draw("text", { class: look, x, y, "text-anchor": anchor }, words);
const ms = (at) => (at ? Date.parse(at) : null);
const spoken = (runs) => runs.map((run) => `attempt ${run.attempt}, ${stateLook(run.state).word}, ${span((run.to - (run.started ?? run.from)) / 1_000)}`).join("; ");
