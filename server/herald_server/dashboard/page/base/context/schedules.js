/** States and outcomes of schedules. Pure but for the clock. */

import { now } from "../clock.js";
import { formatTime } from "../format.js";

/** The sources of schedules. */
export const SOURCES = { app: "beat_schedule", django: "django-celery-beat", redbeat: "RedBeat", toml: "herald.toml", learnt: "learnt" };

/** Outcomes of a due time, the worst first. */
export const OUTCOMES = {
  missed: { label: "missed", tone: "bad" },
  failed: { label: "failed", tone: "bad" },
  late: { label: "late", tone: "warn" },
  overlapping: { label: "overlapping", tone: "warn" },
  unknown: { label: "not known", tone: "lost" },
  ok: { label: "ok", tone: "good" },
};

const LOOKS = {
  beat_silent: { label: "Beat silent", tone: "bad", icon: "warn", means: "No schedule of this source was submitted, though several were due" },
  missed: { label: "Missed", tone: "bad", icon: "warn", means: "It was due, and no run of it is known" },
  failed: { label: "Failed", tone: "bad", icon: "cross", means: "Its last run failed" },
  late: { label: "Late", tone: "warn", icon: "half", means: "Submitted or started late" },
  overlapping: { label: "Overlapping", tone: "warn", icon: "warn", means: "The run before was still running" },
  unknown: { label: "Unknown", tone: "lost", icon: "query", means: "Events of that time are missing" },
  unconfirmed: { label: "Learnt", tone: "quiet", icon: "query", means: "Learnt from regular submissions; no alarm until a person confirms it" },
  waiting: { label: "Waiting", tone: "quiet", icon: "ring", means: "No run was due since Herald knows it" },
  running: { label: "Running", tone: "busy", icon: "play", means: "Its last run has not ended" },
  ok: { label: "OK", tone: "good", icon: "check", means: "Its last run was in time and succeeded" },
  disabled: { label: "Disabled", tone: "quiet", icon: "slash", means: "Its source has switched it off" },
};
const ORDER = Object.keys(LOOKS);

/** Icon, colour and label of the state of a schedule. */
export const getScheduleLook = ({ state }) => LOOKS[state] ?? { label: state, tone: "quiet", icon: "query" };

/** The worst outcome that a count holds. */
export const worstOutcome = (bin) => Object.keys(OUTCOMES).find((kind) => bin[kind]);

/** The most urgent first, muted ones last, else by name. */
export function sortSchedules(found) {
  const rank = ({ muted, state }) => (muted ? 100 : 0) + ORDER.indexOf(state);
  return [...found].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

/** When the next run is due: `in 3 min`, or the time if it is far or past. */
export function describeNext(at) {
  const ms = Date.parse(at ?? "");
  if (!Number.isFinite(ms)) return "–";
  const s = Math.round((ms - now()) / 1_000);
  if (s < 0) return `due ${formatTime(ms)}`;
  if (s < 60) return `in ${s} s`;
  return s < 5_400 ? `in ${Math.round(s / 60)} min` : formatTime(ms);
}
