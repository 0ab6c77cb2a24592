/**
 * A chart of lanes on one time axis: position tells them apart, not only colour. Values are
 * shown at the pointer; dragging chooses a time range, a click on a bar opens it, and both
 * work with the keyboard: arrows move, Shift marks a range, Enter confirms.
 *
 * @typedef {{at: number, partial?: boolean, [key: string]: any}} Point  `at`: start, in ms
 * @typedef {{label: string, tone?: string, get: (point: Point) => number|undefined, high?: (point: Point) => number|undefined,
 *            format: (value: number) => string, share?: number}} Lane  with `high`, a range on a
 *   logarithmic axis; `share`: of the height
 * @typedef {{kind: string, at: number, until?: number, title: string, label?: string}} Mark  `gap`,
 *   `worker_started`, `worker_offline`, `worker_silent`, or another kind: a flag with `label`
 */

import { formatHourMinute, formatTime } from "../../base/format.js";
import { useSize } from "../../base/view/hooks.js";
import { html, useMemo, useRef, useState } from "../../base/view/preact.js";
import { drawLanes, layOut } from "./drawing.js";

const DRAG_PX = 6; // a shorter move is a click
const NEAR_PX = 6; // marks this near to the pointer are told

/**
 * @param {{label: string, points: Point[], step: number, since: number, until: number, lanes: Lane[],
 *          marks?: Mark[], onZoom?: (since: number, until: number) => void, onPick?: (point: Point, lane: Lane) => void}} props
 */
export function Chart({ label, points, step, since, until, lanes, marks = [], onZoom, onPick }) {
  const [ref, { width, height }] = useSize();
  const [pointed, setAt] = useState(null); // index of the point that is told
  const [begun, setFrom] = useState(null); // where a selection begins: an index
  const [at, from] = [pointed, begun].map((index) => (index === null || !points.length ? null : Math.min(index, points.length - 1))); // there may be fewer than before
  const held = useRef(null);
  const frame = useMemo(() => layOut({ since, until, lanes, width, height }), [points, since, until, width, height, lanes.length]);
  const picture = useMemo(() => (width && height ? drawLanes({ points, step, lanes, marks, frame }) : null), [points, marks, frame]);
  const indexAt = (clientX) => findIndex(points, step, frame.time(clientX - ref.current.getBoundingClientRect().left));
  const laneAt = (clientY) => lanes[frame.lanes.findLastIndex(({ top }) => clientY - ref.current.getBoundingClientRect().top >= top)] ?? lanes[0];
  const finish = (start, end, lane) => {
    setFrom(null);
    if (start === null || end === null) return;
    const [low, high] = [Math.min(start, end), Math.max(start, end)];
    if (low === high && onPick) onPick(points[low], lane);
    else if (low !== high) onZoom?.(points[low].at, points[high].at + step);
  };
  const onPointer = {
    onPointerDown: (event) => {
      held.current = { x: event.clientX, index: indexAt(event.clientX) };
      event.currentTarget.setPointerCapture?.(event.pointerId);
    },
    onPointerMove: (event) => {
      setAt(indexAt(event.clientX));
      if (held.current && onZoom && Math.abs(event.clientX - held.current.x) > DRAG_PX) setFrom(held.current.index);
    },
    onPointerUp: (event) => {
      if (!held.current) return;
      const start = from ?? indexAt(event.clientX);
      held.current = null;
      finish(start, indexAt(event.clientX), laneAt(event.clientY));
    },
    onPointerLeave: () => held.current || setAt(null),
    onPointerCancel: () => ((held.current = null), setFrom(null)),
  };
  const onKey = (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
    if (event.key === "Enter") return finish(from ?? at, at, lanes[0]);
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const last = points.length - 1;
    setFrom(event.shiftKey ? (from ?? at ?? last) : null);
    setAt(Math.max(0, Math.min(last, (at ?? last) + (Math.abs(move) === 1 && at === null ? 0 : move))));
  };
  const told = at === null ? null : points[at];
  return html`<div class="chart" ref=${ref}>
    <div class="chart-labels">${lanes.map((lane, k) => html`<p class=${lane.high ? "tall" : ""} style=${{ top: `${frame.lanes[k]?.top ?? 0}px` }}><span>${lane.label}</span><b>${describeLane(lane, told ?? points.findLast((each) => !each.partial))}</b></p>`)}</div>
    ${picture}
    ${width > 0 && html`<div class="chart-front" tabIndex="0" role="slider" aria-label=${`${label}: ${summarize(points, lanes)}`} aria-valuemin="0" aria-valuemax=${points.length - 1} aria-valuenow=${at ?? points.length - 1}
      aria-valuetext=${told ? describePoint(told, lanes, step) : `${formatTime(since)} – ${formatTime(until)}`} ...${onPointer} onKeyDown=${onKey} onBlur=${() => (setAt(null), setFrom(null))}>
      ${from !== null && at !== null && html`<${Selection} frame=${frame} from=${points[Math.min(from, at)].at} to=${points[Math.max(from, at)].at + step} />`}
      ${told && html`<${Tip} point=${told} frame=${frame} step=${step} lanes=${lanes} marks=${marks} width=${width} />`}
    </div>`}
  </div>`;
}

function Selection({ frame, from, to }) {
  return html`<span class="chart-selection" style=${{ left: `${frame.x(from)}px`, width: `${frame.x(to) - frame.x(from)}px` }}></span>`;
}

function Tip({ point, frame, step, lanes, marks, width }) {
  const middle = frame.x(point.at + step / 2);
  const near = marks.filter((mark) => Math.abs(frame.x(mark.at) - middle) < NEAR_PX + (frame.x(step) - frame.x(0)) / 2 || (mark.until > point.at && mark.at <= point.at + step));
  const side = middle > width / 2 ? { right: `${width - middle + 10}px` } : { left: `${middle + 10}px` };
  return html`<span class="chart-cursor" style=${{ left: `${middle}px` }}></span>
    <div class="chart-tip" style=${side}>
      <b class="when">${formatHourMinute(point.at)}</b>${point.partial ? " so far" : ""}
      <dl>${lanes.map((lane) => html`<div><dt>${lane.label}</dt><dd>${describeLane(lane, point)}</dd></div>`)}</dl>
      ${near.slice(0, 4).map(({ title }) => html`<p>${title}</p>`)}
    </div>`;
}

function findIndex(points, step, time) {
  const index = points.findLastIndex(({ at }) => at <= time);
  return index < 0 ? 0 : index;
}

function describeLane({ get, high, format }, point) {
  const low = point && get(point);
  if (low === undefined || low === null) return "–";
  const top = high?.(point);
  return high ? `p50 ${format(low)}\np95 ${top === undefined ? "–" : format(top)}` : format(low);
}

const describePoint = (point, lanes, step) => `${formatHourMinute(point.at)} to ${formatHourMinute(point.at + step)}: ${lanes.map((lane) => `${lane.label} ${describeLane(lane, point)}`).join(", ")}`;

// The peak and its time; a picture has no other words.
function summarize(points, lanes) {
  return lanes.map((lane) => {
    const value = (point) => (lane.high ?? lane.get)(point);
    const known = points.filter((point) => value(point) !== undefined);
    if (!known.length) return `${lane.label} not known`;
    const peak = known.reduce((best, point) => (value(point) > value(best) ? point : best));
    return `${lane.label} at most ${lane.format(value(peak))}, at ${formatHourMinute(peak.at)}`;
  }).join("; ");
}

