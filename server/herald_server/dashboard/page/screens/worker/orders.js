/** Orders to a worker: one form for all commands, confirmed in place; each is followed to its outcome. */

import { formatAge, formatTime } from "../../base/format.js";
import { post } from "../../base/http.js";
import { useSubscription } from "../../base/view/hooks.js";
import { html, useState } from "../../base/view/preact.js";
import { Badge, Card, ConfirmButton } from "../../parts/common/view.js";

const MAX_ORDERS = 10;

/** By command: its label, its fields, and whether it takes work away. */
const COMMANDS = {
  pool_grow: { label: "Grow the pool", fields: [["n", "by", "1"]] },
  pool_shrink: { label: "Shrink the pool", fields: [["n", "by", "1"]] },
  autoscale: { label: "Scale the pool by itself", fields: [["max", "at most"], ["min", "at least"]] },
  add_consumer: { label: "Consume a queue", fields: [["queue", "queue"]] },
  cancel_consumer: { label: "Stop consuming a queue", fields: [["queue", "queue"]], queues: true },
  rate_limit: { label: "Limit the rate of a task", fields: [["task_name", "task"], ["rate_limit", "rate, such as 10/m"]], tasks: true },
  time_limit: { label: "Limit the time of a task", fields: [["task_name", "task"], ["soft", "soft, s"], ["hard", "hard, s"]], tasks: true },
  enable_events: { label: "Send task events", fields: [] },
  disable_events: { label: "Send no task events", fields: [] },
  pool_restart: { label: "Restart the pool", fields: [] },
  shutdown: { label: "Shut down", fields: [] },
};

/** @type {Record<string, import("../../base/states.js").Look>} */
const LOOKS = {
  requested: { tone: "wait", icon: "ring", label: "Requested" },
  acknowledged: { tone: "busy", icon: "half", label: "Acknowledged" },
  verified: { tone: "good", icon: "check", label: "Verified" },
  not_verified: { tone: "warn", icon: "warn", label: "Not verified" },
  refused: { tone: "bad", icon: "cross", label: "Refused" },
  no_answer: { tone: "warn", icon: "warn", label: "No answer" },
};

export function Orders({ name, path, worker, onDone }) {
  const orders = useSubscription({ id: "worker-orders", topic: "orders" });
  const [command, setCommand] = useState("pool_grow");
  const [values, setValues] = useState({});
  const [problem, setProblem] = useState("");
  const { label, fields } = COMMANDS[command];
  const given = Object.fromEntries(fields.map(([key, , value = ""]) => [key, (values[key] ?? value).trim()]).filter(([, value]) => value));
  const give = async () => {
    setProblem("");
    await post(`${path}/orders`, { command, ...given }).catch((error) => setProblem(error.message));
    onDone();
  };
  const mine = [...orders.items.values()].filter(({ target }) => target === name).sort((a, b) => (a.requested_at < b.requested_at ? 1 : -1));
  return html`<${Card} title="Orders" className="worker-orders">
    <div class="order-form">
      <label>Order <select class="field" value=${command} onChange=${(event) => (setCommand(event.target.value), setValues({}))}>
        ${Object.entries(COMMANDS).map(([key, one]) => html`<option key=${key} value=${key}>${one.label}</option>`)}</select></label>
      ${fields.map(([key, text, initial = ""]) => html`<${Field} key=${command + key} name=${key} label=${text} value=${values[key] ?? initial} choices=${choose(key, command, worker)} onInput=${(value) => setValues({ ...values, [key]: value })} />`)}
      <${ConfirmButton} key=${command} label=${`${label} …`} ask=${`${label}${describe(given)}?`} yes="Yes" className="" onConfirm=${give} />
    </div>
    ${problem && html`<p class="answer" role="alert" data-tone="bad">${problem}</p>`}
    <ul class="plain" aria-live="polite">${mine.slice(0, MAX_ORDERS).map((order) => html`<${OrderRow} key=${order.id} order=${order} />`)}</ul>
  <//>`;
}

function Field({ name, label, value, choices, onInput }) {
  const list = choices ? `choices-${name}` : null;
  return html`<label>${label} <input class="field" value=${value} list=${list} onInput=${(event) => onInput(event.target.value)} /></label>
    ${choices && html`<datalist id=${list}>${choices.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>`}`;
}

function choose(key, command, { registered, queues }) {
  if (key === "task_name") return registered?.map(({ name }) => name) ?? null;
  return key === "queue" && COMMANDS[command].queues ? (queues?.map(({ name }) => name) ?? null) : null;
}

const describe = (given) => (Object.keys(given).length ? ` (${Object.entries(given).map(([key, value]) => `${key} ${value}`).join(", ")})` : "");

function OrderRow({ order }) {
  const { kind, state, message, who, requested_at: at, details } = order;
  const label = (COMMANDS[kind]?.label ?? kind) + describe(details?.arguments ?? {});
  return html`<li><${Badge} look=${LOOKS[state] ?? LOOKS.requested} /> <strong>${label}</strong>
    <p class="fine" title=${formatTime(at)}>${message || "Waiting for the worker."} · ${who}, ${formatAge(at)}</p></li>`;
}
