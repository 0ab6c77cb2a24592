/** Access: the tokens that live, and who ordered what. */

import { link } from "../address.js";
import { button, h, say } from "../dom.js";
import { format } from "../filter.js";
import { ago, clock, many } from "../format.js";
import { empty } from "../parts/blank.js";
import { card } from "../parts/card.js";
import { Listing } from "../parts/listing.js";
import { Table } from "../parts/table.js";
import { post, remove } from "../rest.js";

const TOKENS = [
  { word: "Token", name: "n20" },
  { word: "May", name: "n16" },
  { word: "Sees" },
  { word: "Made", num: true, name: "n8", hide: true },
  { word: "Until", num: true, name: "n16" },
  { word: "Actions", name: "n9" },
];

const ORDERS = [
  { word: "At", name: "n16" },
  { word: "Who", name: "n20" },
  { word: "Did", name: "n9" },
  { word: "What" },
  { word: "Outcome", hide: true },
  { word: "From", name: "n11", hide: true },
];

export function show(place, visit) {
  const tokens = new Table("Tokens", TOKENS, { key: (one) => one.id, cells: (one) => token(one, revoke) });
  const orders = new Table("Orders", ORDERS, { key: (one) => `${one.at} ${one.what} ${one.target}`, cells: order });
  const living = new Listing("Tokens that were made", tokens, () => empty("No token was made", "Those of the settings are not listed: only their hashes are known."));
  const book = new Listing("Orders on record", orders, () => empty("No order yet", "Who starts, cancels, retries or mints something is written down here, never with what arguments."));
  const answer = h("p", { className: "answer", role: "status" });
  let [held, told] = [null, null];
  const draw = () => {
    living.render(held?.value?.tokens ?? [], { known: Boolean(held), error: held?.error, again: () => asked.ask(), note: held?.value ? many(held.value.tokens.length, "token") : "" });
    book.render(told?.value?.orders ?? [], { known: Boolean(told), error: told?.error, again: () => audit.ask() });
  };
  const asked = visit.ask("api/v1/tokens", (got) => ((held = got), draw()));
  const audit = visit.ask("api/v1/audit?limit=200", (got) => ((told = got), draw()), 5);
  async function revoke(id) {
    const said = await remove(`api/v1/tokens/${encodeURIComponent(id)}`).then(() => "Revoked: it opens nothing any more.", (error) => error.message);
    answer.hidden = false;
    say(answer, said);
    asked.ask();
    audit.ask();
  }
  answer.hidden = true;
  place.append(minting(() => (asked.ask(), audit.ask())), answer, living.el, book.el);
  return { refresh: draw };
}

function token({ id, name, scopes, only, minted_at: made, expires_at: until }, revoke) {
  return [h("span", { title: id }, name || id), scopes.join(" "), only?.length ? only.map(format).join(" and ") : "everything",
    made ? ago(made) : null, until ? clock(until) : null, button("Revoke", () => revoke(id), "small")];
}

function order({ at, who, what, target = "", name = "", outcome = "", count = 1, address = "" }) {
  const ofTask = ["start", "cancel", "retry"].includes(what) && target;
  const it = ofTask ? h("a", { href: link("task", {}, target) }, name || target) : `${name || target}`;
  return [clock(at), who, what, count > 1 ? h("span", {}, it, ` (${count})`) : it, outcome, address];
}

/** The form that makes a token; it is shown once. What it sees is chosen in words. */
function minting(done) {
  const box = card("Make a token to hand on");
  const sees = h("select", { className: "field", "aria-label": "What it may read" }, h("option", { value: "all" }, "all tasks"), h("option", { value: "named" }, "only tasks named"));
  const name = h("input", { className: "field", hidden: true, "aria-label": "Task names that it sees", title: "Such as reports.*; * is anything, ? one character" });
  const ttl = h("input", { className: "field", value: "15m", required: true, "aria-label": "How long it lives" });
  const made = h("pre", { hidden: true, tabIndex: 0, "aria-label": "The new token" });
  const copy = button("Copy", () => navigator.clipboard?.writeText(made.textContent), "small");
  const make = h("button", { type: "submit", className: "small" }, "Make it");
  const said = h("p", { className: "answer", role: "status" });
  const form = h("form", { className: "minting" }, "It may read", sees, name, "for", ttl, make, said);
  sees.addEventListener("change", () => {
    name.hidden = sees.value === "all";
    name.required = !name.hidden;
  });
  copy.hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const only = sees.value === "all" ? {} : { only: { name: name.value.trim() } };
    const [text, problem] = await post("api/v1/tokens", { scopes: ["read"], ttl: ttl.value, ...only }).then((answer) => [answer.token, ""], (error) => ["", error.message]);
    made.hidden = copy.hidden = !text;
    say(made, text);
    say(said, problem || `It reads ${only.only ? `tasks named ${only.only.name}` : "all tasks"}. It is shown only this once:`);
    done();
  });
  box.body.append(form, made, copy);
  return box.el;
}
