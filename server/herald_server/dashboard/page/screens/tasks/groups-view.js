/** The loaded tasks by name, state, worker or error, instead of the list. */

import { linkTo } from "../../base/address.js";
import { formatAge, formatCount, formatPercent, pluralize } from "../../base/format.js";
import { getCreatedAt } from "../../base/metrics.js";
import { quote } from "../../base/query.js";
import { html } from "../../base/view/preact.js";
import { Bar, Name, StateBadge } from "../../parts/common/view.js";

const MAX_ROWS = 200;
/** How many tasks are read to be grouped. */
export const MAX_GROUPED = 5_000;

/** @type {Record<string, {label: string, get: (task: any) => string, word: (value: string) => string}>} */
export const GROUPS = {
  name: { label: "Name", get: ({ name }) => name ?? "", word: (value) => `name:${quote(value)}` },
  state: { label: "State", get: ({ state }) => state, word: (value) => `state:${value}` },
  worker: { label: "Worker", get: ({ worker }) => worker ?? "", word: (value) => `worker:${quote(value)}` },
  error: { label: "Error", get: ({ exception }) => /^[\w.]+/.exec(exception ?? "")?.[0] ?? "", word: (value) => `error:${quote(value)}` },
};

/** Return `[{value, count, failed, newest}]`, the largest first. Pure. */
export function groupTasks(entries, by) {
  const found = new Map();
  for (const { task } of entries) {
    const value = GROUPS[by].get(task);
    const group = found.get(value) ?? { value, count: 0, failed: 0, newest: "" };
    group.count += 1;
    group.failed += task.state === "FAILURE" ? 1 : 0;
    const at = getCreatedAt(task) ?? "";
    if (at > group.newest) group.newest = at;
    found.set(value, group);
  }
  return [...found.values()].sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
}

/** @param {{entries: any[], by: string, more: boolean, params: any}} props `params` are those of the address */
export function GroupsView({ entries, by, more, params }) {
  const groups = groupTasks(entries, by);
  const link = (value) => linkTo("tasks", { ...params, group: "", q: [params.q, GROUPS[by].word(value)].filter(Boolean).join(" ") });
  return html`<p class="fine groups-note" role="status">${pluralize(groups.length, "group")} of ${more ? `the first ${formatCount(entries.length)} tasks; there are more` : pluralize(entries.length, "task")}</p>
    <div class="scroll"><table class="rows" aria-label=${`Tasks by ${GROUPS[by].label.toLowerCase()}`}>
      <thead><tr><th scope="col">${GROUPS[by].label}</th><th scope="col" class="num n7">Tasks</th><th scope="col" class="num n6">Share</th><th scope="col" class="n11 wide"><span class="visually-hidden">Share as a bar</span></th><th scope="col" class="num n7">Failed</th><th scope="col" class="num n7">Newest</th></tr></thead>
      <tbody>${groups.slice(0, MAX_ROWS).map(({ value, count, failed, newest }) => html`<tr key=${value}>
        <th scope="row">${value ? html`<a href=${link(value)}><${Value} by=${by} value=${value} /></a>` : html`<span class="soft">${by === "error" ? "no error" : "not known"}</span>`}</th>
        <td class="num">${formatCount(count)}</td><td class="num">${formatPercent(count / entries.length)}</td><td class="wide"><${Bar} share=${count / groups[0].count} /></td>
        <td class=${failed ? "num bad-text" : "num"}>${formatCount(failed)}</td><td class="num">${newest ? formatAge(newest) : "–"}</td></tr>`)}</tbody></table></div>
    ${groups.length > MAX_ROWS && html`<p class="fine groups-note">The largest ${formatCount(MAX_ROWS)} are shown.</p>`}`;
}

function Value({ by, value }) {
  if (by === "state") return html`<${StateBadge} state=${value} />`;
  return by === "name" ? html`<${Name} name=${value} />` : html`<bdi>${value}</bdi>`;
}
