/** Webhooks: the endpoints and the state of their deliveries. */

import { button, h, setText } from "../../base/dom.js";
import { formatFilter } from "../../base/filter.js";
import { formatAge, formatCount, pluralize } from "../../base/format.js";
import { post } from "../../base/http.js";
import { badge } from "../../parts/common/badge.js";
import { emptyState } from "../../parts/common/placeholders.js";
import { TableCard } from "../../parts/common/table-card.js";

const COLUMNS = [
  { label: "Endpoint" },
  { label: "State", name: "n16" },
  { label: "Filter", hide: true, title: "The event types and the filter of tasks" },
  { label: "Behind", num: true, name: "n7", title: "Entries of the change log that are not processed yet" },
  { label: "Waiting", num: true, name: "n7", title: "Messages that are being sent or retried" },
  { label: "Accepted", num: true, name: "n8", hide: true },
  { label: "Failed", num: true, name: "n7", title: "Attempts that failed", hide: true },
  { label: "Given up", num: true, name: "n8" },
  { label: "Last", num: true, name: "n7", title: "Time since the last accepted message", hide: true },
  { label: "Actions", name: "n16" },
];

export function show(place, context) {
  const answer = h("p", { className: "answer", role: "status" });
  const tableCard = new TableCard("Webhooks", COLUMNS, { key: (one) => one.id, cells: (one) => cells(one, perform) }, createPlaceholder, { className: "whole" });
  let last = null;
  const draw = () => tableCard.render(last?.value?.webhooks ?? [], { known: Boolean(last), error: last?.error, retry: () => request.send(), note: last?.value ? pluralize(last.value.webhooks.length, "endpoint") : "" });
  const request = context.poll("api/v1/webhooks", (reply) => ((last = reply), draw()), 5);
  async function perform(id, action) {
    const message = await post(`api/v1/webhooks/${encodeURIComponent(id)}/${action}`).then(({ replayed }) => (replayed === undefined ? "Done." : `${pluralize(replayed, "message")} will be sent again.`), (error) => error.message);
    answer.hidden = false;
    setText(answer, message);
    request.send();
  }
  answer.hidden = true;
  place.append(answer, tableCard.el);
  return { refresh: draw };
}

const BREAKERS = {
  closed: { tone: "good", icon: "dot", label: "Active" },
  open: { tone: "bad", icon: "warn", label: "Paused" },
  "half-open": { tone: "warn", icon: "half", label: "Probing" },
  half_open: { tone: "warn", icon: "half", label: "Probing" },
};

function cells(one, perform) {
  const look = one.disabled_at ? { tone: "bad", icon: "slash", label: "Disabled", means: one.disabled_why } : { ...(BREAKERS[one.breaker] ?? BREAKERS.closed), means: one.last_error };
  const n = (value) => (value === undefined ? null : formatCount(value));
  const actions = [
    one.disabled_at ? button("Enable", () => perform(one.id, "enable"), "small") : null,
    one.dead ? button("Resend", () => perform(one.id, "replay"), "small") : null,
  ];
  return [
    h("span", { title: one.id }, one.url),
    badge(look),
    [one.on?.join?.(" ") ?? one.on, formatFilter(one.filter ?? {})].filter(Boolean).join(", "),
    n(one.behind),
    n(one.waiting),
    n(one.accepted),
    n(one.failed),
    one.dead ? h("span", { className: "bad-text" }, formatCount(one.dead)) : n(one.dead),
    one.last_success_at ? formatAge(one.last_success_at) : "never",
    h("span", { className: "pair" }, actions),
  ];
}

const createPlaceholder = () => emptyState("No webhook is registered", "Register one with POST /api/v1/webhooks, [webhooks.NAME] in herald.toml, or the tool register_webhook.");
