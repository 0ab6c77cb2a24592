/** Links to logs, traces and error trackers, by the templates of herald.toml. */

import { usePoll } from "../../base/view/hooks.js";
import { html } from "../../base/view/preact.js";

const CONFIG_S = 600;

/** @param {{task: any}} props */
export function Links({ task }) {
  const { value } = usePoll("api/v1/page", CONFIG_S); // it changes with a restart of the server only
  const links = (value?.links ?? []).map(({ label, url }) => ({ label, href: fillTemplate(url, task) })).filter(({ href }) => href);
  return links.map(({ label, href }) => html`<a class="button" key=${label} href=${href} target="_blank" rel="noreferrer noopener">${label} ↗</a>`);
}

/** Return the address with the task's values, escaped; null if one is not known or it is not https. */
export function fillTemplate(template, task) {
  let complete = true;
  const href = template.replace(/\{(\w+)\}/g, (_, key) => {
    const value = key.endsWith("_ms") ? Date.parse(task[`${key.slice(0, -3)}_at`] ?? "") : task[key];
    if (value === undefined || value === null || value === "" || Number.isNaN(value)) complete = false;
    return encodeURIComponent(String(value));
  });
  return complete && href.startsWith("https://") ? href : null;
}
