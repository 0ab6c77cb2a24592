/** Successes, failures and runtimes of the time range, with gaps, workers and deploys. */

import { linkTo } from "../../base/address.js";
import { formatRange } from "../../base/context/range.js";
import { formatDuration, formatRate, pluralize } from "../../base/format.js";
import { usePoll, useScreen } from "../../base/view/hooks.js";
import { html, useMemo } from "../../base/view/preact.js";
import { Chart } from "../../parts/charts/chart.js";
import { Card, Icon, State } from "../../parts/common/view.js";
import { setRange } from "../../parts/shell/range-picker.js";
import { toTimeline } from "./mappers.js";

const POLL_S = { "1h": 10, "24h": 60 };

export function History({ name = "" }) {
  const { range } = useScreen();
  const query = new URLSearchParams({ window: range.window, ...(name ? { name } : {}) });
  const { value, error, known, send } = usePoll(`api/v1/stats/series?${query}`, POLL_S[range.window]);
  const data = useMemo(() => (value ? toTimeline(value, range) : null), [value, range.text]);
  return html`<${Card} title=${`History, ${range.isLive ? "1 h" : range.label}`} className="history" note=${html`<${Legend} marks=${data?.marks ?? []} />`}>
    <${State} known=${known} error=${value ? null : error} retry=${send} empty=${data && !data.points.length && "Figures are kept for a day; this range has none."}>
      ${() => html`<${Chart} label="History" ...${data} lanes=${LANES} onZoom=${(since, until) => setRange(formatRange(since, until))} onPick=${(point, lane) => openTasks(point, lane, data.step, name)} />`}
    </${State}>
  </${Card}>`;
}

const LANES = [
  { label: "Succeeded", get: (point) => point.succeeded, tone: "busy", format: (n) => `${formatRate(n)} /min`, share: 4, state: "SUCCESS" },
  { label: "Failed", get: (point) => point.failed, tone: "bad", format: (n) => `${formatRate(n)} /min`, share: 2.6, state: "FAILURE" },
  { label: "Runtime", get: (point) => point.p50, high: (point) => point.p95, format: formatDuration, share: 3.4, state: "" },
];

function openTasks(point, lane, step, name) {
  const q = [name && `name:${name}`, lane.state && `state:${lane.state}`].filter(Boolean).join(" ");
  location.hash = linkTo("tasks", { q, at: formatRange(point.at, point.at + step) });
}

function Legend({ marks }) {
  const n = (kind) => marks.filter((mark) => mark.kind === kind).length;
  const deploys = n("deploy") + n("release") + n("software");
  const gone = n("worker_offline") + n("worker_silent");
  const parts = [["start", n("worker_started") && pluralize(n("worker_started"), "worker start")], ["gone", gone && `${gone} gone`], ["gap", n("gap") && pluralize(n("gap"), "gap")], ["flag", deploys && pluralize(deploys, "deploy")]];
  return html`<span class="marks">${parts.filter(([, text]) => text).map(([symbol, text]) => html`<${Icon} name=${symbol} /><span>${text}</span>`)}<span class="fine wide">drag to choose a time, click for its tasks</span></span>`;
}
