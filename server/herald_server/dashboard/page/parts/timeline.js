/**
 * What happened, minute by minute: succeeded, failed, runtimes, each on its own line,
 * so that place tells them apart and not only colour. Gaps are hatched through all.
 *
 * @typedef {{at: number, succeeded: number, failed: number, p50?: number, p95?: number,
 *            partial?: boolean}} Point  `at` in ms; runtimes in seconds
 * @typedef {{kind: string, at: number, until: number, title: string}} Mark
 * @typedef {{points: Point[], step: number, since: number, until: number, marks: Mark[]}} Drawn
 *   times in ms; `kind` is `gap`, `worker_started`, `worker_offline` or `worker_silent`
 */

import { draw, h, say } from "../dom.js";
import { hourMinute, rate, span } from "../format.js";
import { logScale, scale } from "./scales.js";

const GUTTER = 92; // where the lines are named
const RIGHT = 52; // where their scales are written
const AXIS = 18;
const SHARES = [0.4, 0.22, 0.38]; // of the height, a line each
const SPACE = 8; // between lines

export class Timeline {
  #data = null;
  #svg = draw("svg", { class: "timeline", role: "img" });
  #lines = [new Line("Succeeded", 1), new Line("Failed", 1), new Line("Runtime", 2)];
  #cursor = draw("line", { class: "cursor", y1: 0 });
  #when = h("span", { className: "when" });

  constructor() {
    this.el = h("div", { className: "timebox" }, this.#lines.map((line) => line.el), this.#when, this.#svg);
    this.el.addEventListener("pointermove", (event) => this.#point(event.clientX));
    this.el.addEventListener("pointerleave", () => this.#read(null));
  }

  /** Keep it as wide as its place until the returned function is called. */
  live() {
    const sized = new ResizeObserver(() => this.#data && this.show(this.#data));
    sized.observe(this.el);
    return () => sized.disconnect();
  }

  /** Draw this. @param {Drawn} data */
  show(data) {
    this.#data = data;
    const { width, height } = this.el.getBoundingClientRect();
    if (!width || !height) return;
    const lanes = cut(height - AXIS);
    const x = (at) => GUTTER + ((at - data.since) / (data.until - data.since)) * (width - GUTTER - RIGHT);
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.setAttribute("aria-label", summary(data));
    this.#svg.replaceChildren(hatch(), ...gaps(data, x, height - AXIS), ...axis(data, x, height, width),
      ...columns(data, x, lanes[0], "succeeded", "busy", width), ...columns(data, x, lanes[1], "failed", "bad", width),
      ...ranges(data, x, lanes[2], width), ...workers(data, x, height - AXIS), this.#cursor);
    this.#lines.forEach((line, k) => line.place(lanes[k]));
    this.#x = x;
    this.#read(null);
  }
  #x = (at) => at;

  #point(clientX) {
    if (!this.#data) return;
    const at = clientX - this.el.getBoundingClientRect().left;
    const near = this.#data.points.find((point) => this.#x(point.at) <= at && at < this.#x(point.at + this.#data.step));
    this.#read(near ?? null);
  }

  // What is pointed at, or the newest whole stretch.
  #read(point) {
    const { points, step } = this.#data;
    const shown = point ?? points.filter((each) => !each.partial).at(-1);
    const minutes = step / 60_000;
    this.#lines[0].say(shown ? `${rate(shown.succeeded / minutes)} /min` : "–");
    this.#lines[1].say(shown ? `${rate(shown.failed / minutes)} /min` : "–");
    this.#lines[2].say(shown?.p50 === undefined ? "p50 –" : `p50 ${span(shown.p50)}`, shown?.p95 === undefined ? "p95 –" : `p95 ${span(shown.p95)}`);
    this.#cursor.setAttribute("visibility", point ? "visible" : "hidden");
    say(this.#when, point ? hourMinute(point.at) : "");
    if (!point) return;
    const middle = this.#x(point.at + step / 2);
    for (const key of ["x1", "x2"]) this.#cursor.setAttribute(key, middle);
    this.#cursor.setAttribute("y2", this.el.clientHeight - AXIS);
    this.#when.style.setProperty("left", `${middle}px`);
  }
}

/** The name of a line, and what it shows now. */
class Line {
  #values;

  constructor(word, values) {
    this.#values = Array.from({ length: values }, () => h("b", {}, "–"));
    this.el = h("p", { className: "line" }, h("span", {}, word), this.#values);
  }

  say(...texts) {
    texts.forEach((text, k) => say(this.#values[k], text));
  }

  place({ top }) {
    this.el.style.setProperty("top", `${top}px`);
  }
}

function cut(height) {
  let top = 0;
  return SHARES.map((share) => {
    const lane = { top, height: share * height - SPACE };
    top += share * height;
    return lane;
  });
}

function columns({ points, step }, x, { top, height }, key, tone, width) {
  const most = Math.max(...points.map((point) => point[key]), 0);
  const y = scale(most, height);
  const wide = Math.max(1, x(step) - x(0) - 1);
  const bars = points.filter((point) => point[key]).map((point) => {
    const tall = Math.max(1.5, y(point[key]));
    return draw("rect", { class: point.partial ? "partial" : null, "data-tone": tone, x: x(point.at).toFixed(1), y: (top + height - tall).toFixed(1), width: wide.toFixed(1), height: tall.toFixed(1) });
  });
  return [base(top + height, width), ...bars, ...(most ? [limit(width, top + 9, `${rate(most / (step / 60_000))}/min`)] : [])];
}

function ranges({ points, step }, x, { top, height }, width) {
  const known = points.filter((point) => point.p50 !== undefined);
  const floor = base(top + height, width);
  if (!known.length) return [floor];
  const { y, low, high } = logScale(known.flatMap((point) => [point.p50, point.p95 ?? point.p50]), top, height);
  const wide = Math.max(1, x(step) - x(0) - 1);
  const bars = known.flatMap((point) => {
    const [from, to] = [y(point.p50), y(point.p95 ?? point.p50)];
    const [left, look] = [x(point.at).toFixed(1), point.partial ? " partial" : ""];
    return [draw("rect", { class: `spread${look}`, x: left, y: to.toFixed(1), width: wide.toFixed(1), height: Math.max(1, from - to).toFixed(1) }),
      draw("rect", { class: `median${look}`, x: left, y: (from - 1).toFixed(1), width: wide.toFixed(1), height: 2 })];
  });
  return [floor, ...bars, limit(width, top + 9, decade(high)), limit(width, top + height, decade(low))];
}

function gaps({ marks, since, until }, x, height) {
  return marks.filter(({ kind }) => kind === "gap").map((gap) => {
    const [from, to] = [x(Math.max(since, gap.at)), x(Math.min(until, gap.until))];
    return draw("g", { class: "gap" }, draw("title", {}, gap.title),
      draw("rect", { x: from.toFixed(1), y: 0, width: Math.max(4, to - from).toFixed(1), height }));
  });
}

function workers({ marks, since }, x, y) {
  return marks.filter(({ kind, at }) => kind !== "gap" && at >= since).map(({ kind, at, title }) => {
    const came = kind === "worker_started";
    const path = came ? `M${x(at).toFixed(1)} ${y - 7}l5 9h-10z` : `M${x(at).toFixed(1)} ${y + 2}l5-9h-10z`;
    return draw("g", { class: came ? "start" : "gone" }, draw("title", {}, title), draw("path", { d: path }));
  });
}

function axis({ since, until }, x, height, width) {
  const hours = (until - since) / 3_600_000;
  const every = (hours > 2 ? 180 : 10) * (width < 600 ? 2 : 1) * 60_000;
  const ticks = [];
  for (let at = Math.ceil(since / every) * every; at <= until; at += every) ticks.push(at);
  return ticks.flatMap((at) => [
    draw("line", { class: "tick", x1: x(at), x2: x(at), y1: 0, y2: height - AXIS }),
    draw("text", { class: "label", x: x(at), y: height - 4, "text-anchor": "middle" }, hourMinute(at)),
  ]);
}

const base = (y, width) => draw("line", { class: "base", x1: GUTTER, x2: width - RIGHT, y1: y, y2: y });
const limit = (width, y, text) => draw("text", { class: "label", x: width - RIGHT + 6, y }, text);

function hatch() {
  return draw("defs", {}, draw("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    draw("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch" })));
}

// A power of ten in few letters.
function decade(seconds) {
  if (seconds < 1) return `${Math.round(1_000 * seconds)} ms`;
  return seconds < 1_000 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function summary({ points, marks, since, until }) {
  const sum = (key) => points.reduce((n, point) => n + point[key], 0);
  return `From ${hourMinute(since)} to ${hourMinute(until)}: ${sum("succeeded")} succeeded, ${sum("failed")} failed, ${marks.filter(({ kind }) => kind === "gap").length} gaps.`;
}
