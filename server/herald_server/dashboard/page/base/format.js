/** Format times, durations, numbers and values. Pure but for the time zone. */

import { now } from "./clock.js";

const pad = (n, width = 2) => String(n).padStart(width, "0");
const DASH = "–";
const NUMBERS = new Intl.NumberFormat("en"); // making one takes longer than formatting a thousand

/** Whether times are shown in UTC, or in the time zone of this machine. */
export const zone = { utc: true };

function splitTime(ms) {
  const shift = zone.utc ? 0 : -new Date(ms).getTimezoneOffset() * 60_000;
  const iso = new Date(ms + shift).toISOString();
  return { day: iso.slice(0, 10), time: iso.slice(11, 19), exact: iso.slice(11, 23) };
}

function formatOffset(ms) {
  if (zone.utc) return "UTC";
  const minutes = -new Date(ms).getTimezoneOffset();
  const [sign, size] = [minutes < 0 ? "−" : "+", Math.abs(minutes)];
  return `${sign}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/** `14:03:22`, after the date if it is not today. */
export function formatTime(at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (!Number.isFinite(ms)) return DASH;
  const { day, time } = splitTime(ms);
  return day === splitTime(now()).day ? time : `${day} ${time}`;
}

/** `14:03`. */
export const formatHourMinute = (ms) => splitTime(ms).time.slice(0, 5);

/** `2026-11-22 14:03:22.120 UTC`. */
export function formatTimestamp(at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (!Number.isFinite(ms)) return DASH;
  const { day, exact } = splitTime(ms);
  return `${day} ${exact} ${formatOffset(ms)}`;
}

/** The age of a time: `3 s`, `4 min`, `2 h`, `5 d`. */
export function formatAge(at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (!Number.isFinite(ms)) return DASH;
  const s = Math.max(0, Math.floor((now() - ms) / 1_000));
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min`;
  return s < 172_800 ? `${Math.floor(s / 3_600)} h` : `${Math.floor(s / 86_400)} d`;
}

/** A lag in ms: `12 ms`, `3.4 s`, `12 min`. */
export function formatLag(ms) {
  if (!Number.isFinite(ms)) return DASH;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : formatAge(now() - ms);
}

/** A share as `3.1 %`; a small one is never shown as 0. */
export function formatPercent(share) {
  if (!Number.isFinite(share)) return DASH;
  const hundred = 100 * share;
  if (hundred > 0 && hundred < 0.1) return "<0.1 %";
  return `${hundred >= 10 || hundred === 0 ? Math.round(hundred) : hundred.toFixed(1)} %`;
}

/** A part as `99 %`: rounded down, so that only all is 100 %. */
export function formatPortion(done, total) {
  if (!total) return DASH;
  return done >= total ? "100 %" : `${Math.floor((100 * done) / total)} %`;
}

/** A number, or a lower bound of it. */
export const formatAtLeast = (n, whole) => (whole ? formatCount(n) : `≥ ${formatCount(n)}`);

/** A rate a minute: `0.4`, `12`, `1,204`, `33.7k`. */
export function formatRate(perMinute) {
  if (!Number.isFinite(perMinute)) return DASH;
  if (perMinute >= 10_000) return formatShort(perMinute);
  return perMinute > 0 && perMinute < 10 ? perMinute.toFixed(1) : formatCount(Math.round(perMinute));
}

/** `1,284`, `12.9k`, `1.3M`: for a place of fixed width. */
export function formatShort(n) {
  if (!Number.isFinite(n)) return DASH;
  if (n < 10_000) return formatCount(n);
  return n < 1e6 ? `${(n / 1e3).toFixed(n < 1e5 ? 1 : 0)}k` : `${(n / 1e6).toFixed(1)}M`;
}

/** The duration of a finished run, in seconds: `120 ms`, `12.3 s`, `2:05`, `1:02:05`. */
export function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return DASH;
  if (seconds < 0.9995) return `${Math.round(seconds * 1_000)} ms`;
  return seconds < 59.95 ? `${seconds.toFixed(1)} s` : formatElapsed(seconds);
}

/** A duration that still grows, in whole seconds. */
export function formatElapsed(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  const [hours, minutes] = [Math.floor(s / 3_600), Math.floor((s % 3_600) / 60)];
  return hours ? `${hours}:${pad(minutes)}:${pad(s % 60)}` : `${minutes}:${pad(s % 60)}`;
}

/** The runtime of a task so far; empty if it has not started. */
export function formatRuntime(task) {
  if (Number.isFinite(task.runtime)) return formatDuration(task.runtime);
  if (task.state !== "STARTED" || !task.started_at) return "";
  return formatElapsed((now() - Date.parse(task.started_at)) / 1_000);
}

/** The time from sending (or the planned start) to the start; until now if it waits. */
export function formatWait(task) {
  const from = Date.parse(task.eta ?? task.submitted_at ?? task.received_at ?? "");
  const to = task.started_at ? Date.parse(task.started_at) : task.final ? NaN : now();
  return Number.isFinite(to - from) ? formatDuration(Math.max(0, to - from) / 1_000) : "";
}

/** `12,345`. */
export const formatCount = (n) => NUMBERS.format(n);

/** The tasks that a worker runs, of its slots where they are known. */
export const formatBusy = ({ active, slots }) => (active === undefined ? null : slots ? `${formatCount(active)} / ${formatCount(slots)}` : formatCount(active));

/** `1 task`, `12,345 tasks`. */
export const pluralize = (n, noun) => `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`;

/** A value as text: strings unchanged, the rest as indented JSON. */
export function formatValue(it) {
  return typeof it === "string" ? it : JSON.stringify(it, null, 2);
}

const RFC3339 = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

/** A sentence of the server with its times as the reader chose to see them. */
export const showTimes = (sentence) => sentence.replace(RFC3339, formatTime);
