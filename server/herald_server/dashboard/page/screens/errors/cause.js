/** One cause of failures: its own frame, exception, counts, times, names and tasks. */

import { linkTo } from "../../base/address.js";
import { formatAge, formatCount, formatTimestamp, pluralize } from "../../base/format.js";
import { quote } from "../../base/query.js";
import { html } from "../../base/view/preact.js";
import { Icon, Name } from "../../parts/common/view.js";

const SPARK = { width: 170, height: 30 };
const MAX_NAMES = 3;

/** @param {{cause: any, name?: string, answer: any, max: number}} props `answer` is the list that it is from, of all names or only of `name` */
export function Cause({ cause, name, answer, max }) {
  const tasks = linkTo("tasks", { q: [`failure:${cause.fingerprint}`, name && `name:${quote(name)}`].filter(Boolean).join(" ") });
  return html`<li>
    <div class="cause-what">
      <a href=${tasks}>${cause.frame ? html`<${Frame} frame=${cause.frame} />` : html`<span class="fine">no frame of your own code</span>`}</a>
      <strong><bdi>${cause.exception}</bdi></strong>
      ${cause.new_since_deploy && html`<span class="state" data-tone="bad" title=${`First seen after the deploy at ${formatTimestamp(answer.deployed_at)}`}><${Icon} name="warn" />New</span>`}
      ${cause.message_example && html`<p class="cause-message" title=${cause.message_example}><bdi>${cause.message_example}</bdi></p>`}
      <p class="fine"><${Names} names=${cause.names} /></p>
    </div>
    <${Spark} series=${cause.series} seconds=${answer.bin_seconds} />
    <dl class="cause-count">
      <div><dt>Failed</dt><dd class="number">${formatCount(cause.count ?? 0)}</dd></div>
      ${cause.retried > 0 && html`<div><dt>Retried</dt><dd>${formatCount(cause.retried)}</dd></div>`}
    </dl>
    <dl class="cause-times">
      <${Time} label="First" at=${cause.first_seen} />
      <${Time} label="Last" at=${cause.last_seen} />
      ${cause.versions?.length > 0 && html`<div><dt>Release</dt><dd><bdi>${cause.versions.join(", ")}</bdi></dd></div>`}
    </dl>
    <div class="cause-actions"><a class="button small" href=${tasks}>Tasks</a><button type="button" class="small" onClick=${() => retry(cause, name, answer)}>Retry …</button></div>
    <span class="cause-share" style=${{ width: `${max ? (100 * (cause.count ?? 0)) / max : 0}%` }} aria-hidden="true"></span>
  </li>`;
}

// Those that were counted here and are failed now: by when they failed, not when they were received.
async function retry({ fingerprint }, name, { since, until }) {
  const { openBulkSheet } = await import("../../parts/orders/bulk-sheet.js");
  openBulkSheet({ action: "retry", filter: { failure: [fingerprint], ...(name ? { name: [name] } : {}) }, query: `finished:${since}..${until}` });
}

/** `orders/pay.py:charge`: the function, and where it is. */
function Frame({ frame }) {
  const cut = frame.lastIndexOf(":");
  return html`<code class="cause-frame"><bdi><b>${frame.slice(cut + 1) || frame}</b></bdi> <span class="fine"><bdi>${frame.slice(0, cut)}</bdi></span></code>`;
}

function Names({ names = {} }) {
  const all = Object.entries(names);
  const more = all.length - MAX_NAMES;
  return html`${all.slice(0, MAX_NAMES).map(([name, n], k) => html`${k > 0 && " · "}<${Name} name=${name} /> ${formatCount(n)}`)}${more > 0 && ` · ${pluralize(more, "more name")}`}`;
}

const Time = ({ label, at }) => html`<div><dt>${label}</dt><dd>${at ? html`<time datetime=${at} title=${formatTimestamp(at)}>${formatAge(at)} ago</time>` : "–"}</dd></div>`;

/** Attempts in each bin of the range; the numbers beside it say how many. */
function Spark({ series = [], seconds }) {
  const max = Math.max(1, ...series);
  const step = SPARK.width / Math.max(1, series.length);
  const label = `At most ${pluralize(max, "attempt")} in ${seconds < 120 ? "a minute" : `${seconds / 60} minutes`}`;
  return html`<svg class="cause-spark" width=${SPARK.width} height=${SPARK.height} viewBox=${`0 0 ${SPARK.width} ${SPARK.height}`} role="img" aria-label=${label}>
    <title>${label}</title>
    ${series.map((n, k) => n > 0 && html`<rect x=${(k * step).toFixed(1)} y=${(SPARK.height * (1 - n / max)).toFixed(1)} width=${Math.max(1, step - 0.6).toFixed(1)} height=${((SPARK.height * n) / max).toFixed(1)} />`)}
  </svg>`;
}
