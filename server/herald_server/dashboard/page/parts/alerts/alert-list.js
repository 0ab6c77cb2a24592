/** The alerts that fire, and those that ended lately; nothing while there are none. */

import { now } from "../../base/clock.js";
import { formatAge, formatTime, pluralize } from "../../base/format.js";
import { useSubscription } from "../../base/view/hooks.js";
import { html } from "../../base/view/preact.js";
import { Badge } from "../common/view.js";

const RECENT_MS = 24 * 3_600_000;
const MAX_SHOWN = 20;

/** @type {Record<string, import("../../base/states.js").Look>} */
const LOOKS = {
  critical: { tone: "bad", icon: "cross", label: "Fires" },
  warning: { tone: "warn", icon: "warn", label: "Fires" },
  info: { tone: "quiet", icon: "half", label: "Fires" },
  resolved: { tone: "good", icon: "check", label: "Resolved" },
};

export function AlertList() {
  const collection = useSubscription({ id: "alerts", topic: "alerts" });
  const shown = sortAlerts([...collection.items.values()].filter(isShown)).slice(0, MAX_SHOWN);
  if (!shown.length) return null;
  const firing = shown.filter(({ state }) => state === "firing").length;
  return html`<details class="card alerts"><summary class="bar"><h2>Alerts</h2>
      <p class="card-note">${[firing && `${pluralize(firing, "alert")} reported`, shown.length > firing && `${shown.length - firing} resolved in the last day`].filter(Boolean).join(" · ")}</p></summary>
    <ul class="plain">${shown.map((alert) => html`<${AlertRow} key=${alert.id} alert=${alert} />`)}</ul>
  </details>`;
}

function AlertRow({ alert }) {
  const { state, severity, title, message, rule, fired_at: at, resolved_at: ended, silenced_until: until } = alert;
  const look = LOOKS[state === "firing" ? severity : state];
  const when = ended ? `resolved ${formatAge(ended)} ago` : `for ${formatAge(at)}`;
  return html`<li><${Badge} look=${look} /> <strong>${title}</strong>
    <p class="fine" title=${formatTime(ended ?? at)}>${[message, rule, when, until && `silenced until ${formatTime(until)}`].filter(Boolean).join(" · ")}</p></li>`;
}

const isShown = ({ state, resolved_at: at }) => state === "firing" || now() - Date.parse(at) < RECENT_MS;

const sortAlerts = (alerts) => alerts.sort((a, b) => (a.state !== b.state ? (a.state === "firing" ? -1 : 1) : a.fired_at < b.fired_at ? 1 : -1));
