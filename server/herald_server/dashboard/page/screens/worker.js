/** One worker: what it says of itself, what it did at a time, and orders to it. */

import { linkTo } from "../base/address.js";
import { h } from "../base/dom.js";
import { formatTime } from "../base/format.js";
import { showView, useLive, usePoll, useScreen } from "../base/view/hooks.js";
import { html } from "../base/view/preact.js";
import { emptyState } from "../parts/common/placeholders.js";
import { Card, State, WorkerBadge } from "../parts/common/view.js";
import { Facts, Held } from "./worker/facts.js";
import { History } from "./worker/history.js";
import { Orders } from "./worker/orders.js";

/** @param {Element} place @param {import("../base/context/screen-context.js").ScreenContext} context */
export function show(place, context) {
  if (context.place.arg) return showView(place, context, Worker);
  place.append(h("h2", { className: "visually-hidden" }, "Worker"), emptyState("No worker", "Open one from the list of workers."));
  return {};
}

function Worker() {
  const name = useScreen().place.arg;
  const live = useLive();
  const path = `api/v1/workers/${encodeURIComponent(name)}`;
  const { value, error, known, send } = usePoll(path);
  const now = live.workers.items.get(name);
  const retry = () => send();
  return html`<header class="worker-head"><h2><bdi>${name}</bdi></h2>
      ${now && html`<${WorkerBadge} state=${now.state} />`}
      <a href=${linkTo("tasks", { q: `worker:${name}` })}>Its tasks</a></header>
    <div class="two">
      <div class="column">
        <${Card} title="Now" note=${value?.asked ? `asked ${formatTime(value.asked.at)}` : ""}>
          <${State} known=${known} error=${error} retry=${retry}>${() => html`<${Facts} worker=${{ ...value, ...now }} />`}<//>
        <//>
        <${History} name=${name} path=${path} />
      </div>
      <div class="column">
        ${value?.can_be_ordered && html`<${Orders} name=${name} path=${path} worker=${value} onDone=${send} />`}
        ${value && html`<${Held} worker=${value} />`}
      </div>
    </div>`;
}
