/** The corner with the orders for many tasks: how far they are, and a stop. */

import { linkTo } from "../../base/address.js";
import { h, schedule } from "../../base/dom.js";
import { formatCount, pluralize } from "../../base/format.js";
import { post } from "../../base/http.js";
import { html, render, useState } from "../../base/view/preact.js";
import { loadStylesheet } from "../../base/view/stylesheets.js";

const RECENT_MS = 60_000; // an order that ended before the page was opened is not shown
const TITLES = { bulk_retry: "Retry", bulk_cancel: "Cancel", purge_queue: "Purge" };
const MAX_FAILURES = 5;

/** Show the orders of `client` until the page is closed. */
export function mount(client) {
  const opened = Date.now();
  const hidden = new Set();
  const place = document.body.appendChild(h("aside", { className: "orders view", "aria-label": "Orders" }));
  place.hidden = true;
  const isShown = (order) => order.kind in TITLES && !hidden.has(order.id) && (!order.ended_at || Date.parse(order.ended_at) > opened - RECENT_MS);
  const draw = () => {
    const orders = [...collection.items.values()].filter(isShown).sort((a, b) => (a.requested_at < b.requested_at ? 1 : -1));
    if (orders.length) loadStylesheet("orders.css");
    place.hidden = !orders.length;
    const hide = (id) => (hidden.add(id), draw());
    render(html`${orders.map((order) => html`<${OrderCard} key=${order.id} order=${order} hide=${hide} />`)}`, place);
  };
  const collection = client.subscribe({ id: "orders", topic: "orders" }, () => schedule(draw));
}

function OrderCard({ order, hide }) {
  const [said, setSaid] = useState("");
  const { count = 0, handled = 0, outcomes = {}, failures = [], tag } = order.details ?? {};
  const isOver = Boolean(order.ended_at);
  const stop = () => post(`api/v1/orders/${encodeURIComponent(order.id)}/stop`, {}).then(() => setSaid("It stops."), (error) => setSaid(error.message));
  const parts = Object.entries(outcomes).map(([kind, number]) => `${formatCount(number)} ${kind.replaceAll("_", " ")}`);
  return html`<section class="order" data-tone=${chooseTone(order)}>
    <h3>${TITLES[order.kind]} of ${count ? pluralize(count, "task") : html`<bdi>${order.target}</bdi>`} <span class="fine">${order.state}</span></h3>
    ${count > 0 && html`<div class="progress-bar" role="progressbar" aria-label="Handled tasks" aria-valuemin="0" aria-valuemax=${count} aria-valuenow=${handled}><i style=${{ width: `${(100 * handled) / count}%` }}></i></div>`}
    <p role="status">${count ? parts.join(" · ") || "Nothing is done yet." : order.message}</p>
    ${order.details?.problem && html`<p class="warn-text">${order.details.problem}</p>`}
    ${said && html`<p class="fine">${said}</p>`}
    ${failures.length > 0 && html`<details><summary>${pluralize(failures.length, "task")} not done</summary><ul class="plain">${failures.slice(0, MAX_FAILURES).map((one) => html`<li key=${one.task_id}><a href=${linkTo("task", {}, one.task_id)}>${one.task_id.slice(0, 8)}</a> ${one.reason}</li>`)}</ul></details>`}
    <div class="buttons">
      ${tag && html`<a href=${linkTo("tasks", { q: `tag:"${tag}"` })}>Show the reruns</a>`}
      ${!isOver && count > 0 && html`<button type="button" class="small" onClick=${stop}>Stop</button>`}
      ${isOver && html`<button type="button" class="small quiet" onClick=${() => hide(order.id)}>Hide</button>`}
    </div>
  </section>`;
}

function chooseTone({ state, details }) {
  if (state === "failed" || state === "incomplete") return "bad";
  if (state === "running") return "busy";
  return details?.failures?.length || state === "stopped" ? "warn" : "good";
}
