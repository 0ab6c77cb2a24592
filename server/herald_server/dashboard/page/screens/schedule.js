/** Schedule: each periodic task with its next and last run, and which did not run. */

import { pluralize } from "../base/format.js";
import { sortSchedules } from "../base/context/schedules.js";
import { showView, useLive, usePoll, useScreen, useSecond } from "../base/view/hooks.js";
import { html, useState } from "../base/view/preact.js";
import { Card, State } from "../parts/common/view.js";
import { ScheduleRow } from "./schedule/row.js";

const COLUMNS = [["Schedule", ""], ["State", ""], ["Last 24 h", ""], ["Last run", "hide"], ["Next", "num"], ["", "actions"]];
const NOTHING = "Start the monitor with -A PROJECT, or declare [schedules.NAME] in the herald.toml. Regular submissions are learnt after eight runs.";

export const show = (place, context) => showView(place, context, Schedule);

function Schedule({ params }) {
  const { place } = useScreen();
  const { schedules } = useLive();
  const report = usePoll("api/v1/schedules", 60);
  const [said, setSaid] = useState(null);
  useSecond();
  const all = sortSchedules(schedules.items.values());
  const wanted = (params.q ?? "").toLowerCase();
  const found = all.filter(({ name, task }) => `${name} ${task}`.toLowerCase().includes(wanted));
  const known = schedules.synced || Boolean(schedules.error);
  return html`<${Card} title="Periodic tasks" className="whole" note=${all.length ? describe(all) : ""}>
    ${said && html`<p class="said" role="status" data-tone=${said.tone}>${said.text}</p>`}
    ${(report.value?.sources.problems ?? []).map((text) => html`<p class="said" data-tone="warn">${text}</p>`)}
    <${State} known=${known} error=${schedules.error} empty=${!found.length && (all.length ? "No schedule has such a name." : NOTHING)}>
      ${() => html`<div class="scroll"><table class="schedules">
        <thead><tr>${COLUMNS.map(([label, className]) => html`<th scope="col" class=${className}>${label || html`<span class="visually-hidden">Actions</span>`}</th>`)}</tr></thead>
        <tbody>${found.map((one) => html`<${ScheduleRow} key=${one.id} one=${one} open=${one.id === place.arg} say=${setSaid} />`)}</tbody>
      </table></div>`}
    </${State}>
  </${Card}>`;
}

function describe(all) {
  const bad = all.filter(({ problems, muted }) => problems?.length && !muted).length;
  return bad ? `${bad} of ${pluralize(all.length, "schedule")} ${bad === 1 ? "needs" : "need"} attention` : `${pluralize(all.length, "schedule")}, none needs attention`;
}
