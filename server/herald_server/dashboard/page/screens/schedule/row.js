/** One schedule as a row of the table, with its problems and actions. */

import { linkTo } from "../../base/address.js";
import { formatAge, formatDuration, formatTime, formatTimestamp, showTimes } from "../../base/format.js";
import { post } from "../../base/http.js";
import { describeNext, getScheduleLook, SOURCES } from "../../base/context/schedules.js";
import { html } from "../../base/view/preact.js";
import { Badge, ConfirmButton, Name, StateBadge } from "../../parts/common/view.js";
import { Strip } from "./strip.js";

export function ScheduleRow({ one, open, say }) {
  const { name, task, schedule, timezone, source, muted } = one;
  return html`<tr class=${`${muted ? "muted" : ""} ${open ? "chosen" : ""}`} id=${`schedule-${one.id}`}>
    <th scope="row">
      <strong class="schedule-name"><bdi>${name}</bdi></strong>
      ${task !== name && html`<a href=${linkTo("tasks", { q: `name:${task}` })}><${Name} name=${task} /></a>`}
      <span class="soft" title=${one.args || one.kwargs ? `Arguments: ${one.args ?? "any"} ${one.kwargs ?? ""}` : null}>${schedule}${timezone && !one.interval_s ? ` ${timezone}` : ""} · ${SOURCES[source] ?? source}</span>
      <${Learnt} one=${one} />
    </th>
    <td><${Badge} look=${getScheduleLook(one)} />${muted && html`<span class="soft">muted</span>`}<${Problems} one=${one} /></td>
    <td><${Strip} one=${one} /></td>
    <td class="hide"><${LastRun} one=${one} /></td>
    <td class="num" title=${one.next_run ? formatTimestamp(one.next_run) : null}>${describeNext(one.next_run)}</td>
    <td class="actions"><${Actions} one=${one} say=${say} /></td>
  </tr>`;
}

function Problems({ one }) {
  const told = one.unknown ? [...(one.problems ?? []), { kind: "unknown", message: `Not known: ${one.unknown}.` }] : (one.problems ?? []);
  return told.map(({ kind, message, task_id: id }) => html`<p class="problem" key=${kind}>${showTimes(message)} ${id && html`<a href=${linkTo("task", {}, id)}>Task</a>`}</p>`);
}

function Learnt({ one }) {
  const { learnt } = one;
  if (!learnt) return null;
  return html`<span class="soft">learnt from ${learnt.runs} runs, ±${learnt.jitter_s} s${one.confirmed ? ", confirmed" : "; no alarm until it is confirmed"}</span>`;
}

function LastRun({ one }) {
  const last = one.last_run;
  if (!last) return html`<span class="soft">none known</span>`;
  const at = last.submitted_at ?? last.received_at;
  return html`<a href=${linkTo("task", {}, last.task_id)} title=${formatTimestamp(at)}><${StateBadge} state=${last.state} /></a>
    <span class="soft">${formatAge(at)} ago${last.runtime === undefined ? "" : `, took ${formatDuration(last.runtime)}`}${last.late_s >= 1 ? `, ${Math.round(last.late_s)} s late` : ""}</span>`;
}

function Actions({ one, say }) {
  const order = async (action, text) => {
    try {
      const { message, task_id: id } = await post(`api/v1/schedules/${encodeURIComponent(one.id)}/${action}`, {});
      say({ tone: "good", text: `${one.name}: ${id ? `started at ${formatTime(Date.now())}.` : (message ?? text)}` });
    } catch (error) {
      say({ tone: "bad", text: `${one.name}: ${error.message}` });
    }
  };
  const canRun = one.args !== undefined && one.kwargs !== undefined;
  return html`
    ${one.learnt && !one.confirmed && html`<button type="button" class="small strong" onClick=${() => order("confirm")}>Confirm</button>`}
    ${canRun && html`<${ConfirmButton} label="Run now" ask=${`Run ${one.name} now?`} yes="Run" onConfirm=${() => order("run")} />`}
    ${one.muted ? html`<button type="button" class="small" onClick=${() => order("unmute")}>Unmute</button>` : html`<button type="button" class="small" onClick=${() => order("mute")}>Mute</button>`}`;
}
