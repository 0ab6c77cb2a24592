/** The tools of the task list: columns, views, download, and what is done with ticked rows. */

import { formatCount, pluralize } from "../../base/format.js";
import { splitWords, toFilter } from "../../base/query.js";
import { html, useState } from "../../base/view/preact.js";
import { Menu } from "../../parts/common/menu.js";
import { NotifyButton } from "../../parts/common/notify-button.js";
import { COLUMNS, DEFAULT_COLUMNS } from "../../parts/list/columns.js";
import { COMMON_VIEWS, linkToView, readViews, removeView, saveView } from "../../parts/query/views.js";
import { GROUPS } from "./groups-view.js";

// Whether a subscription can tell of the view: other queries need a search.
const canWatch = (query) => toFilter(splitWords(query)).isWhole;

/** @param {{columns: string[], onColumns: (keys: string[]) => void, params: any, onDownload: (format: string) => void, download: string, changes: string,
 *          orders: {label: string, run: () => void}[], held: number|null, onHold: () => void, group: string, onGroup: (key: string) => void}} props
 *   `orders` are for all tasks that match; `held`: the number of new tasks while the list is held
 */
export function Toolbar({ columns, onColumns, params, onDownload, download, changes, orders, held, onHold, group, onGroup }) {
  return html`<div class="toolbar">
    <button type="button" class=${held === null ? "small" : "small strong"} aria-pressed=${String(held !== null)} aria-keyshortcuts="h" title="Let no row come or go while you read (h)" onClick=${onHold}>${held === null ? "Hold" : `Go on · ${formatCount(held)} new`}</button>
    <label class="group-by">Group by <select class="field" value=${group} onChange=${(event) => onGroup(event.target.value)}><option value="">nothing</option>${Object.entries(GROUPS).map(([key, { label }]) => html`<option key=${key} value=${key}>${label}</option>`)}</select></label>
    ${orders.map(({ label, run }) => html`<button type="button" class="small" key=${label} onClick=${run}>${label}</button>`)}
    <${Menu} label="Columns" className="small">${() => html`<${ColumnChoice} columns=${columns} onColumns=${onColumns} />`}</${Menu}>
    <${Menu} label="Views" className="small">${(close) => html`<${ViewChoice} params=${params} close=${close} />`}</${Menu}>
    <${Menu} label=${download || "Download"} name="Download" className="small">${(close) => html`<div class="links">
      ${["CSV", "JSON"].map((format) => html`<button type="button" class="quiet" onClick=${() => (close(), onDownload(format.toLowerCase()))}>All that match, as ${format}</button>`)}</div>`}</${Menu}>
    ${canWatch(params.q ?? "") && html`<${NotifyButton} key=${params.q} query=${params.q ?? ""} />`}
    <a class="button small" href=${changes}>Changes</a>
  </div>`;
}

function ColumnChoice({ columns, onColumns }) {
  const toggle = (key) => onColumns(columns.includes(key) ? columns.filter((each) => each !== key) : [...columns, key]);
  return html`<fieldset class="choices"><legend class="visually-hidden">Columns</legend>
    ${Object.entries(COLUMNS).map(([key, { label }]) => html`<label><input type="checkbox" checked=${columns.includes(key)} disabled=${key === "name"} onChange=${() => toggle(key)} /> ${label}</label>`)}
    <button type="button" class="small" onClick=${() => onColumns(DEFAULT_COLUMNS)}>Usual columns</button></fieldset>`;
}

function ViewChoice({ params, close }) {
  const [own, setOwn] = useState(readViews);
  const save = (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("name").trim();
    if (name) (saveView(name, params), setOwn(readViews()), event.target.reset());
  };
  const drop = (name) => (removeView(name), setOwn(readViews()));
  return html`<div class="links">
      ${COMMON_VIEWS.map((one) => html`<a href=${linkToView(one)} onClick=${close}>${one.name}</a>`)}
      ${own.length > 0 && html`<p class="fine">Your views, in this browser</p>`}
      ${own.map((one) => html`<span class="own-view"><a href=${linkToView(one)} onClick=${close}>${one.name}</a><button type="button" class="quiet" aria-label=${`Remove the view ${one.name}`} onClick=${() => drop(one.name)}>×</button></span>`)}
    </div>
    <form class="save-view" onSubmit=${save}><input class="field" name="name" required maxlength="60" placeholder="Name of this view" aria-label="Name of this view" /><button class="small">Save</button></form>`;
}

/**
 * What is done with ticked rows, or with all that match.
 * @param {{count: number, total: string, actions: {label: string, danger?: boolean, run: (all: boolean) => void}[], isAll: boolean, onAll: (all: boolean) => void, onClear: () => void}} props
 */
export function SelectionBar({ count, total, actions, isAll, onAll, onClear }) {
  const [done, setDone] = useState("");
  if (!count) return null;
  const run = async (action) => setDone((await action.run(isAll)) ?? "");
  return html`<div class="selection" role="toolbar" aria-label="Selected tasks">
    <strong>${isAll ? `All ${total} that match` : `${pluralize(count, "task")} selected`}</strong>
    <button type="button" class="small link" onClick=${() => onAll(!isAll)}>${isAll ? `only the ${formatCount(count)} selected` : `all ${total} that match`}</button>
    ${actions.map((action) => html`<button type="button" class=${action.danger ? "small danger" : action.strong ? "small strong" : "small"} disabled=${isAll && action.onlySelected} onClick=${() => run(action)}>${action.label}</button>`)}
    <span class="fine" role="status">${done || "The list holds still while tasks are selected."}</span>
    <button type="button" class="small" onClick=${onClear}>Clear selection</button>
  </div>`;
}
