/** Before and after a mark: runtimes, failures and throughput of one name, as a table. */

import { linkWith } from "../../base/address.js";
import { formatCount, formatDuration, formatPercent, formatRate, formatTime } from "../../base/format.js";
import { usePoll } from "../../base/view/hooks.js";
import { html } from "../../base/view/preact.js";
import { Card, State } from "../../parts/common/view.js";
import { MarkForm, MarkPicker, NO_MARK, WINDOWS } from "./marks.js";

export function BeforeAfter({ name, params }) {
  const { value, error, known, refresh } = usePoll("api/v1/marks", 15);
  const marks = value?.marks ?? [];
  const chosen = marks.some(({ id }) => id === params.mark) ? params.mark : marks[0]?.id;
  const window = params.window in WINDOWS ? params.window : "1h";
  const query = new URLSearchParams({ mark: chosen, window });
  const compared = usePoll(chosen ? `api/v1/types/${encodeURIComponent(name)}/compare?${query}` : null, 15);
  const onSet = (id) => (refresh(0), (location.hash = linkWith({ mark: id })));
  return html`<${Card} title="Before and after" className="before-after" tools=${marks.length > 0 && html`<${MarkPicker} marks=${marks} chosen=${chosen} window=${window} />`}>
    <${State} known=${known && (!chosen || compared.known)} error=${value ? (compared.value ? null : compared.error) : error} retry=${compared.send} empty=${known && !chosen && NO_MARK}>
      ${() => html`<${Comparison} ...${compared.value} />`}
    </${State}>
    ${known && !error && html`<${MarkForm} onSet=${onSet} />`}
  </${Card}>`;
}

const TONES = { slower: "bad", more: "bad", faster: "good", fewer: "good" };

function Comparison({ comparison, message, before, after }) {
  const { before: old, after: next, runtime, failures, p50_ratio: p50, p95_ratio: p95 } = comparison;
  const percent = (side) => (side.failure_rate === undefined ? null : formatPercent(side.failure_rate));
  return html`<p class="verdict" data-tone=${TONES[runtime] ?? TONES[failures] ?? null}>${message}</p>
    <table class="rows">
      <caption class="visually-hidden">Before and after the mark</caption>
      <thead><tr><td></td><th scope="col" class="num" title=${formatPeriod(before)}>Before</th><th scope="col" class="num" title=${formatPeriod(after)}>After</th><th scope="col" class="num">Change</th></tr></thead>
      <tbody>
        <${Row} label="Median" old=${about(old.p50)} next=${about(next.p50)} change=${factor(p50)} />
        <${Row} label="p95" old=${about(old.p95)} next=${about(next.p95)} change=${factor(p95)} tone=${TONES[runtime]} />
        <${Row} label="Failures" old=${percent(old)} next=${percent(next)} change=${difference(old, next)} tone=${TONES[failures]} />
        <${Row} label="Runs a minute" old=${formatRate(old.per_minute)} next=${formatRate(next.per_minute)} change=${factor(next.per_minute / old.per_minute)} />
        <${Row} label="Runs" old=${formatCount(old.ended)} next=${formatCount(next.ended)} />
      </tbody>
    </table>`;
}

const Row = ({ label, old, next, change, tone }) =>
  html`<tr><th scope="row">${label}</th><td class="num">${old ?? "–"}</td><td class="num">${next ?? "–"}</td><td class="num"><span class=${tone ? `${tone}-text` : ""}>${change ?? ""}</span></td></tr>`;

// From buckets: at most 9 % off.
const about = (seconds) => (seconds === undefined ? null : `≈ ${formatDuration(seconds)}`);
const factor = (ratio) => (Number.isFinite(ratio) ? `× ${ratio.toFixed(ratio < 10 ? 2 : 0)}` : null);

function difference({ failure_rate: old }, { failure_rate: next }) {
  if (old === undefined || next === undefined) return null;
  const points = 100 * (next - old);
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)} points`;
}

const formatPeriod = ({ since, until }) => `${formatTime(since)} – ${formatTime(until)}`;
