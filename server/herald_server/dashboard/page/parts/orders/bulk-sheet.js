/** The sheet that previews and confirms an order for many tasks. */

import { formatCount, pluralize } from "../../base/format.js";
import { post } from "../../base/http.js";
import { html, useEffect, useState } from "../../base/view/preact.js";
import { openDialog } from "./dialog.js";

const MAX_LINES = 6;
const VERBS = { retry: "Retry", cancel: "Cancel" };
const SKIPPED = {
  ran_again: "ran again already", not_resendable: "cannot be re-sent", not_ended: "have not ended", already_ended: "have ended already",
  unknown_type: "are of a type that cannot be started", refused: "may not be sent", unknown: "are not known any more",
};

/**
 * Open the sheet for tasks that `ids`, or `query` and `filter`, select.
 * @param {{action: "retry"|"cancel", query?: string, filter?: any, ids?: string[], after?: string, before?: string}} wanted
 */
export const openBulkSheet = ({ action, ...selection }) => openDialog(BulkSheet, { action, selection }, `${VERBS[action]} many tasks`);

function BulkSheet({ action, selection, close }) {
  const [preview, setPreview] = useState(null);
  const [problem, setProblem] = useState("");
  const [options, setOptions] = useState({});
  const [isBusy, setBusy] = useState(false);
  const ask = async (more) => {
    setBusy(true);
    const answer = await post("api/v1/orders", { action, ...selection, ...more }).then((value) => ({ value }), (error) => ({ error }));
    setBusy(false);
    return answer;
  };
  const look = async (changed) => {
    const { value, error } = await ask(changed);
    setProblem(error?.message ?? "");
    if (value) setPreview(value);
  };
  useEffect(() => void look(options), [options.include_rerun]);
  const confirm = async (event) => {
    event.preventDefault();
    const { error } = await ask({ ...preview.selection, ...options, expect: preview.count });
    if (!error) return close();
    if (error.body?.preview) setPreview(error.body.preview);
    return setProblem(error.message);
  };
  const change = (key, value) => setOptions((last) => ({ ...last, [key]: value }));
  return html`<form onSubmit=${confirm} aria-busy=${String(isBusy)}>
    <h2>${preview ? `${VERBS[action]} ${pluralize(preview.count, "task")}` : `${VERBS[action]} many tasks`}</h2>
    <p class="bad-text" role="alert" hidden=${!problem}>${problem}</p>
    ${preview ? html`<${Preview} preview=${preview} />` : !problem && html`<p class="fine" role="status">Looking for the tasks …</p>`}
    ${preview?.count > 0 && html`<${Options} action=${action} preview=${preview} options=${options} change=${change} />`}
    <div class="buttons">
      <button type="submit" class=${action === "cancel" ? "danger" : "strong"} disabled=${isBusy || !preview?.acts_on || preview.needs_admin}>${describeButton(action, preview)}</button>
      <button type="button" onClick=${close}>Close</button>
    </div>
  </form>`;
}

function describeButton(action, preview) {
  if (!preview?.acts_on) return `${VERBS[action]} nothing`;
  const { acts_on: number, count } = preview;
  return number === count ? `${VERBS[action]} ${pluralize(count, "task")}` : `${VERBS[action]} ${formatCount(number)} of ${pluralize(count, "task")}`;
}

function Preview({ preview }) {
  const skipped = Object.entries(preview.skipped).map(([kind, number]) => `${formatCount(number)} ${SKIPPED[kind] ?? kind}`);
  const names = Object.entries(preview.by_name);
  const rest = names.length - MAX_LINES + preview.more_names;
  return html`<p class="sum">${[pluralize(preview.count, "task"), ...skipped].join(" · ")}</p>
    ${preview.needs_admin && html`<p class="warn-text">So many tasks need a token with the scope admin.</p>`}
    <ul class="plain">${names.slice(0, MAX_LINES).map(([name, number]) => html`<li key=${name}><b>${formatCount(number)}</b> <bdi>${name}</bdi></li>`)}
      ${rest > 0 && html`<li class="fine">and ${pluralize(rest, "other name")}</li>`}</ul>
    ${preview.reasons.length > 0 && html`<details><summary>Why some are left out</summary><ul class="plain">${preview.reasons.slice(0, MAX_LINES).map(({ reason, count }) => html`<li key=${reason}><b>${formatCount(count)}</b> ${reason}</li>`)}</ul></details>`}`;
}

function Options({ action, preview, options, change }) {
  const rate = (event) => change("per_second", event.target.value ? Number(event.target.value) : undefined);
  return html`<div class="options-row">
    ${action === "retry" && html`<label>At most <input class="field" type="number" min="0.01" step="any" inputmode="decimal" placeholder=${preview.per_second} onChange=${rate} /> a second</label>`}
    ${preview.ran_again > 0 && html`<label><input type="checkbox" checked=${Boolean(options.include_rerun)} onChange=${(event) => change("include_rerun", event.target.checked || undefined)} /> also the ${formatCount(preview.ran_again)} that ran again already</label>`}
  </div>`;
}
