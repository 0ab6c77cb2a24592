/** Webhooks: where changes are posted to, and how each endpoint fares. */

import { button, h, say } from "../dom.js";
import { format } from "../filter.js";
import { ago, count, many } from "../format.js";
import { badge } from "../parts/badge.js";
import { empty } from "../parts/blank.js";
import { Listing } from "../parts/listing.js";
import { Table } from "../parts/table.js";
import { post } from "../rest.js";

const COLUMNS = [
  { word: "Endpoint" },
  { word: "State", name: "n16" },
  { word: "Of", hide: true, title: "Which changes, of which tasks" },
  { word: "Behind", num: true, name: "n7", title: "Log entries that it has not been asked about yet" },
  { word: "Waiting", num: true, name: "n7", title: "Messages that are under way or tried again" },
  { word: "Accepted", num: true, name: "n8", hide: true },
  { word: "Failed", num: true, name: "n7", title: "Attempts that were not accepted", hide: true },
  { word: "Given up", num: true, name: "n8" },
  { word: "Last", num: true, name: "n7", title: "When it last accepted one", hide: true },
  { word: "Actions", name: "n16" },
];

export function show(place, visit) {
  const answer = h("p", { className: "answer", role: "status" });
  const table = new Table("Webhooks", COLUMNS, { key: (one) => one.id, cells: (one) => cells(one, order) });
  const listing = new Listing("Webhooks", table, nothing, { className: "whole" });
  let last = null;
  const draw = () => listing.render(last?.value?.webhooks ?? [], { known: Boolean(last), error: last?.error, again: () => asked.ask(), note: last?.value ? many(last.value.webhooks.length, "endpoint") : "" });
  const asked = visit.ask("api/v1/webhooks", (got) => ((last = got), draw()), 5);
  async function order(id, what) {
    const said = await post(`api/v1/webhooks/${encodeURIComponent(id)}/${what}`).then(({ replayed }) => (replayed === undefined ? "Done." : `${many(replayed, "message")} will be sent again.`), (error) => error.message);
    answer.hidden = false;
    say(answer, said);
    asked.ask();
  }
  answer.hidden = true;
  place.append(answer, listing.el);
  return { refresh: draw };
}

const BREAKERS = {
  closed: { tone: "good", shape: "dot", word: "Delivers" },
  open: { tone: "bad", shape: "warn", word: "Rests" },
  "half-open": { tone: "warn", shape: "half", word: "Is tried" },
  half_open: { tone: "warn", shape: "half", word: "Is tried" },
};

function cells(one, order) {
  const look = one.disabled_at ? { tone: "bad", shape: "slash", word: "Disabled", means: one.disabled_why } : { ...(BREAKERS[one.breaker] ?? BREAKERS.closed), means: one.last_error };
  const n = (value) => (value === undefined ? null : count(value));
  const acts = [
    one.disabled_at ? button("Go on", () => order(one.id, "enable"), "small") : null,
    one.dead ? button("Send again", () => order(one.id, "replay"), "small") : null,
  ];
  return [
    h("span", { title: one.id }, one.url),
    badge(look),
    [one.on?.join?.(" ") ?? one.on, format(one.filter ?? {})].filter(Boolean).join(", "),
    n(one.behind),
    n(one.waiting),
    n(one.accepted),
    n(one.failed),
    one.dead ? h("span", { className: "hot" }, count(one.dead)) : n(one.dead),
    one.last_success_at ? ago(one.last_success_at) : "never",
    h("span", { className: "pair" }, acts),
  ];
}

const nothing = () => empty("No webhook is registered", "POST /api/v1/webhooks, [webhooks.NAME] in herald.toml, or the tool register_webhook make one.");
