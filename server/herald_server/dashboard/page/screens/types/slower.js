/** What became slower since the newest mark, or fails more often; nothing without a mark. */

import { linkTo } from "../../base/address.js";
import { formatDuration, formatPercent, formatTime, pluralize } from "../../base/format.js";
import { usePoll } from "../../base/view/hooks.js";
import { html } from "../../base/view/preact.js";
import { Card, Name } from "../../parts/common/view.js";

const MAX_SHOWN = 8;

export function Slower() {
  const { value: known } = usePoll("api/v1/marks", 30);
  const { value } = usePoll(known?.marks.length ? "api/v1/slower" : null, 30);
  if (!value) return null;
  const { mark, slower, failing_more: failing, counts } = value;
  const found = [...new Map([...slower, ...failing].map((one) => [one.name, one])).values()];
  const judged = Object.values(counts).reduce((n, one) => n + one, 0) - (counts.unknown ?? 0);
  return html`<${Card} title=${found.length ? "Slower since" : "Nothing slower since"} className="slower" note=${`${mark.what}, ${formatTime(mark.at)}; ${pluralize(judged, "name")} with enough runs`}>
    ${found.length > 0 && html`<ul class="slower-names">${found.slice(0, MAX_SHOWN).map((one) => html`<${Line} ...${one} mark=${mark} />`)}</ul>`}
    ${found.length > MAX_SHOWN && html`<p class="fine">and ${found.length - MAX_SHOWN} more: herald slower</p>`}
  </${Card}>`;
}

function Line({ name, runtime, failures, before, after, p95_ratio: ratio, mark }) {
  return html`<li><a href=${linkTo("type", { mark: mark.id }, name)}><${Name} name=${name} /></a>
    ${runtime === "slower" && html`<span class="bad-text">p95 ≈ ${formatDuration(before.p95)} → ${formatDuration(after.p95)} (× ${ratio})</span>`}
    ${failures === "more" && html`<span class="bad-text">fails ${formatPercent(before.failure_rate)} → ${formatPercent(after.failure_rate)}</span>`}
  </li>`;
}
