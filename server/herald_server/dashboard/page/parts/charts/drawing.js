/** The picture of a chart: bars, ranges, gaps, marks and both axes, as SVG. */

import { formatHourMinute } from "../../base/format.js";
import { html } from "../../base/view/preact.js";
import { createLogScale, createScale, getTicks, roundUp } from "./scales.js";

const GUTTER = 136; // for the labels of the lanes
const NARROW_GUTTER = 92;
const RIGHT = 56; // for the labels of the scales
const AXIS = 18;
const FLAGS = 14; // for the labels of flags, above the lanes
const SPACE = 10; // between lanes
const TICK_PX = 90; // least distance between ticks

/** Return where everything is: `x(ms)`, `time(px)`, `lanes` with `top` and `height` in pixels. */
export function layOut({ since, until, lanes, width, height }) {
  const left = width < 600 ? NARROW_GUTTER : GUTTER;
  const span = Math.max(1, width - left - RIGHT);
  const inner = Math.max(1, height - AXIS - FLAGS);
  const shares = lanes.map(({ share = 1 }) => share);
  const total = shares.reduce((sum, share) => sum + share, 0);
  let top = FLAGS;
  const placed = shares.map((share) => {
    const size = (share / total) * inner;
    const lane = { top, height: Math.max(4, size - SPACE) };
    top += size;
    return lane;
  });
  return { x: (at) => left + ((at - since) / (until - since)) * span, time: (px) => since + ((px - left) / span) * (until - since), lanes: placed, left, right: left + span, width, height, since, until };
}

export function drawLanes({ points, step, lanes, marks, frame }) {
  const { width, height } = frame;
  return html`<svg class="chart-picture" viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} aria-hidden="true">
    <defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="6" class="hatch" /></pattern></defs>
    ${drawTimes(frame)}${drawGaps(marks, frame)}
    ${lanes.map((lane, k) => (lane.high ? drawRanges : drawBars)(points, step, lane, frame, frame.lanes[k]))}
    ${drawMarks(marks, frame)}
  </svg>`;
}

function drawBars(points, step, { get, format, tone = "busy" }, frame, { top, height }) {
  const known = points.filter((point) => get(point) !== undefined);
  const max = roundUp(Math.max(0, ...known.map(get)));
  const y = createScale(max, height);
  const size = Math.max(1, frame.x(step) - frame.x(0) - 1);
  return html`${max > 0 && drawGrid(frame, top + height / 2)}${drawBase(frame, top + height)}
    ${known.filter((point) => get(point) > 0).map((point) => {
      const tall = Math.max(1.5, y(get(point)));
      return html`<rect class=${point.partial ? "partial" : ""} data-tone=${tone} x=${round(frame.x(point.at))} y=${round(top + height - tall)} width=${round(size)} height=${round(tall)} />`;
    })}
    ${max > 0 && html`${drawLimit(frame, top + 9, format(max))}${height > 44 && drawLimit(frame, top + height / 2 + 4, format(max / 2))}`}`;
}

function drawRanges(points, step, { get, high, format }, frame, { top, height }) {
  const known = points.filter((point) => get(point) > 0);
  if (!known.length) return drawBase(frame, top + height);
  const above = (point) => high(point) ?? get(point);
  const scale = createLogScale(known.flatMap((point) => [get(point), above(point)]), top, height);
  const size = round(Math.max(1, frame.x(step) - frame.x(0) - 1));
  return html`${drawBase(frame, top + height)}${known.map((point) => {
    const [low, up, x] = [scale.y(get(point)), scale.y(above(point)), round(frame.x(point.at))];
    return html`<rect class=${`spread ${point.partial ? "partial" : ""}`} x=${x} y=${round(up)} width=${size} height=${round(Math.max(1, low - up))} /><rect class="median" x=${x} y=${round(low - 1)} width=${size} height="2" />`;
  })}${drawLimit(frame, top + 9, format(scale.high))}${drawLimit(frame, top + height, format(scale.low))}`;
}

function drawTimes(frame) {
  const { since, until, height, right, left } = frame;
  return getTicks(since, until, Math.max(2, Math.floor((right - left) / TICK_PX))).map((at) => html`<line class="tick" x1=${round(frame.x(at))} x2=${round(frame.x(at))} y1=${FLAGS} y2=${height - AXIS} />
    <text class="label" x=${round(frame.x(at))} y=${height - 4} text-anchor="middle">${formatHourMinute(at)}</text>`);
}

function drawGaps(marks, frame) {
  return marks.filter(({ kind }) => kind === "gap").map(({ at, until }) => {
    const [from, to] = [frame.x(Math.max(frame.since, at)), frame.x(Math.min(frame.until, until))];
    return to > frame.left && from < frame.right && html`<g class="gap"><rect x=${round(from)} y=${FLAGS} width=${round(Math.max(4, to - from))} height=${frame.height - AXIS - FLAGS} /></g>`;
  });
}

// Workers at the foot; all other kinds are flags from top to bottom.
function drawMarks(marks, frame) {
  const foot = frame.height - AXIS;
  return marks.filter(({ kind, at }) => kind !== "gap" && at >= frame.since && at <= frame.until).map(({ kind, at, label }) => {
    const x = round(frame.x(at));
    if (kind === "worker_started") return html`<g class="start"><path d=${`M${x} ${foot - 7}l5 9h-10z`} /></g>`;
    if (kind.startsWith("worker_")) return html`<g class="gone"><path d=${`M${x} ${foot + 2}l5-9h-10z`} /></g>`;
    return html`<g class="flagged"><line x1=${x} x2=${x} y1="2" y2=${foot} /><text class="label" x=${x > frame.right - 80 ? x - 4 : x + 4} y="10" text-anchor=${x > frame.right - 80 ? "end" : "start"}>${label}</text></g>`;
  });
}

const drawBase = (frame, y) => html`<line class="base" x1=${frame.left} x2=${frame.right} y1=${round(y)} y2=${round(y)} />`;
const drawGrid = (frame, y) => html`<line class="tick" x1=${frame.left} x2=${frame.right} y1=${round(y)} y2=${round(y)} />`;
const drawLimit = (frame, y, text) => html`<text class="label" x=${frame.right + 6} y=${round(y)}>${text}</text>`;
const round = (n) => Math.round(n * 10) / 10;
