/** What needs a person: each problem with since when, why, and what can be done. */

import { linkTo } from "../../base/address.js";
import { formatAge, formatCount, formatRate, formatTime, pluralize } from "../../base/format.js";
import { useConnection, usePoll, useSecond } from "../../base/view/hooks.js";
import { html, useState } from "../../base/view/preact.js";
import { NotifyButton } from "../../parts/common/notify-button.js";
import { Icon } from "../../parts/common/view.js";
import { findOnset, toBars } from "./onset.js";
import { isMuted, mute, unmuteAll } from "./muted.js";
import { Lazy } from "./lazy.js";
import { Actions } from "./problem-actions.js";

const CURRENT = ["live", "behind"];
const MAX_CAUSE_CHARS = 90;
const SPARK = { width: 170, height: 28 };

/** @param {{attention: import("../../base/context/attention.js").Attention, live: any}} props */
export function NeedsYou({ attention, live }) {
  const connection = useConnection();
  const [, setMuted] = useState(0);
  const [said, setSaid] = useState("");
  useSecond();
  const { problems, figures } = attention;
  const isCurrent = CURRENT.includes(connection.word);
  const shown = (problems ?? []).filter((one) => !isMuted(one.key));
  const muted = (problems ?? []).length - shown.length;
  const paused = live.queues.synced ? [...live.queues.items.values()].filter((queue) => queue.paused) : [];
  const onMute = (key) => (mute(key), setMuted((n) => n + 1));
  const head = describeHead({ isCurrent, connection, problems, shown });
  return html`<section class="card needs" aria-labelledby="system" data-tone=${head.tone}>
    <div class="bar"><h2 id="system" data-tone=${head.tone}><${Icon} name=${head.icon} />${head.text}</h2>
      <p class="card-note">${describeRest(live, figures?.value?.series)}</p>
      <${NotifyButton} query=${null} />
      ${muted > 0 && html`<button type="button" class="small" onClick=${() => (unmuteAll(), setMuted((n) => n + 1))}>Show ${formatCount(muted)} muted</button>`}</div>
    ${shown.length > 0 && html`<ul class="problems">${shown.map((one) => html`<${ProblemRow} key=${one.key} problem=${one} onMute=${onMute} onSaid=${setSaid} />`)}</ul>`}
    ${paused.length > 0 && html`<${Lazy} name="PausedQueues" paused=${paused} onSaid=${setSaid} />`}
    <p class="said" role="status">${said}</p>
  </section>`;
}

function ProblemRow({ problem, onMute, onSaid }) {
  const { tone, title, detail, name } = problem;
  const { value } = usePoll(name ? `api/v1/stats/series?${new URLSearchParams({ name })}` : null, 30);
  const causes = usePoll(name ? `api/v1/failures?${new URLSearchParams({ window: "1h", name, limit: "1" })}` : null, 30);
  const cause = describeCause(causes.value?.failures[0]);
  const onset = value ? findOnset(value) : null;
  const since = problem.since ?? onset?.at ?? null;
  const when = since === null ? "" : `since ${formatTime(since)}, ${formatAge(since)}${onset?.mark ? `, after ${onset.mark.label ?? onset.mark.what}` : ""}`;
  const parts = [when, cause && html`<a href=${linkTo("errors", { name, at: "1h" })}>${cause}</a>`, ...detail].filter(Boolean);
  return html`<li data-tone=${tone}>
    <${Icon} name=${tone === "bad" ? "cross" : "warn"} />
    <div class="problem"><strong>${title}</strong><p class="fine">${parts.map((part, k) => [k > 0 && " · ", part])}</p></div>
    ${value && html`<${Spark} bars=${toBars(value)} />`}
    <${Actions} problem=${problem} onMute=${() => onMute(problem.key)} onSaid=${onSaid} />
  </li>`;
}

// The most frequent cause of the last hour.
const describeCause = (cause) => (cause ? [cause.exception, cause.message_example].filter(Boolean).join(": ").slice(0, MAX_CAUSE_CHARS) : "");

/** Failures a minute over the last hour; the words beside it say the same. */
function Spark({ bars }) {
  const max = Math.max(1, ...bars);
  const step = SPARK.width / bars.length;
  return html`<svg class="spark" width=${SPARK.width} height=${SPARK.height} viewBox=${`0 0 ${SPARK.width} ${SPARK.height}`} aria-hidden="true">
    ${bars.map((n, k) => n > 0 && html`<rect x=${(k * step).toFixed(1)} y=${(SPARK.height * (1 - n / max)).toFixed(1)} width=${Math.max(1, step - 0.6).toFixed(1)} height=${((SPARK.height * n) / max).toFixed(1)} />`)}
  </svg>`;
}

function describeHead({ isCurrent, connection, problems, shown }) {
  if (!isCurrent) return { tone: "quiet", icon: "half", text: `As of ${formatTime(connection.heardAt ?? connection.since)}` };
  if (!problems) return { tone: "quiet", icon: "half", text: "Not known yet" };
  if (!shown.length) return { tone: "good", icon: "check", text: problems.length ? "Nothing else needs you" : "Nothing needs you" };
  const tone = shown.some((one) => one.tone === "bad") ? "bad" : "warn";
  return { tone, icon: "warn", text: shown.length === 1 ? "1 thing needs you" : `${shown.length} things need you` };
}

// How much runs besides: a quiet page of a dead system would look the same.
function describeRest(live, series) {
  const online = live.workers.synced ? [...live.workers.items.values()].filter(({ state }) => state === "online").length : null;
  const whole = series?.bins?.slice(-6, -1) ?? [];
  const started = whole.reduce((n, { counts }) => n + (counts.started ?? counts.succeeded ?? 0), 0);
  const rate = whole.length ? `${formatRate(started / whole.length)} tasks/min` : "";
  return [online === null ? "" : `${pluralize(online, "worker")} online`, rate].filter(Boolean).join(" · ");
}
