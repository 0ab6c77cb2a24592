/** Times, spans, numbers and values as people read them. Pure but for the zone. */

import { now } from "./clock.js";

const pad = (n, width = 2) => String(n).padStart(width, "0");
const DASH = "–";

/** Whether times are shown in UTC; else in the zone of this machine. */
export const zone = { utc: true };

function parts(ms) {
  const shift = zone.utc ? 0 : -new Date(ms).getTimezoneOffset() * 60_000;
  const iso = new Date(ms + shift).toISOString();
  return { day: iso.slice(0, 10), time: iso.slice(11, 19), exact: iso.slice(11, 23) };
}

function offset(ms) {
  if (zone.utc) return "UTC";
  const minutes = -new Date(ms).getTimezoneOffset();
  const [sign, size] = [minutes < 0 ? "−" : "+", Math.abs(minutes)];
  return `${sign}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/** `14:03:22`, with the day before it when that is not today. */
export function clock(at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (!Number.isFinite(ms)) return DASH;
  const { day, time } = parts(ms);
  return day === parts(now()).day ? time : `${day} ${time}`;
}

/** `14:03`. */
export const hourMinute = (ms) => parts(ms).time.slice(0, 5);

/** `2026-11-22 14:03:22.120 UTC`. */
export function stamp(at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (!Number.isFinite(ms)) return DASH;
  const { day, exact } = parts(ms);
  return `${day} ${exact} ${offset(ms)}`;
}

/** How long ago: `3 s`, `4 min`, `2 h`, `5 d`. */
export function ago(at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (!Number.isFinite(ms)) return DASH;
  const s = Math.max(0, Math.floor((now() - ms) / 1_000));
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min`;
  return s < 172_800 ? `${Math.floor(s / 3_600)} h` : `${Math.floor(s / 86_400)} d`;
}

/** A lag in ms: `12 ms`, `3.4 s`, `12 min`. */
export function lagging(ms) {
  if (!Number.isFinite(ms)) return DASH;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : ago(now() - ms);
}

/** A share as `3.1 %`; a small one is never shown as none. */
export function percent(share) {
  if (!Number.isFinite(share)) return DASH;
  const hundred = 100 * share;
  if (hundred > 0 && hundred < 0.1) return "<0.1 %";
  return `${hundred >= 10 || hundred === 0 ? Math.round(hundred) : hundred.toFixed(1)} %`;
}

/** How far some of all are, as `99 %`: rounded down, so that 100 is said of all only. */
export function portion(done, total) {
  if (!total) return DASH;
  return done >= total ? "100 %" : `${Math.floor((100 * done) / total)} %`;
}

/** A number of which it may be known only that there are at least so many. */
export const atLeast = (n, whole) => (whole ? count(n) : `≥ ${count(n)}`);

/** A rate a minute: `0.4`, `12`, `1,204`. */
export function rate(perMinute) {
  if (!Number.isFinite(perMinute)) return DASH;
  return perMinute > 0 && perMinute < 10 ? perMinute.toFixed(1) : count(Math.round(perMinute));
}

/** `1,284`, `12.9k`, `1.3M`: for a place that must not grow. */
export function short(n) {
  if (!Number.isFinite(n)) return DASH;
  if (n < 10_000) return count(n);
  return n < 1e6 ? `${(n / 1e3).toFixed(n < 1e5 ? 1 : 0)}k` : `${(n / 1e6).toFixed(1)}M`;
}

/** A duration of a finished run, in seconds: `120 ms`, `12.3 s`, `2:05`, `1:02:05`. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return DASH;
  if (seconds < 0.9995) return `${Math.round(seconds * 1_000)} ms`;
  return seconds < 59.95 ? `${seconds.toFixed(1)} s` : ticking(seconds);
}

/** A duration that still grows: whole seconds, so that it does not flicker. */
export function ticking(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  const [hours, minutes] = [Math.floor(s / 3_600), Math.floor((s % 3_600) / 60)];
  return hours ? `${hours}:${pad(minutes)}:${pad(s % 60)}` : `${minutes}:${pad(s % 60)}`;
}

/** How long a task ran, or has been running; nothing where it has not started. */
export function runtime(task) {
  if (Number.isFinite(task.runtime)) return span(task.runtime);
  if (task.state !== "STARTED" || !task.started_at) return "";
  return ticking((now() - Date.parse(task.started_at)) / 1_000);
}

/** `12,345`. */
export const count = (n) => Number(n).toLocaleString("en");

/** `1 task`, `12,345 tasks`. */
/** What a worker runs, of its slots where they are known. */
export const busy = ({ active, slots }) => (active === undefined ? null : slots ? `${count(active)} / ${count(slots)}` : count(active));

export const many = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** A value as text: strings as they are, the rest as indented JSON. */
export function value(it) {
  return typeof it === "string" ? it : JSON.stringify(it, null, 2);
}
