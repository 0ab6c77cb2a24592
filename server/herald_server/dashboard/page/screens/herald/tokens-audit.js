/** Access: the valid tokens, and the audit log. */

import { linkTo } from "../../base/address.js";
import { button, h, setText } from "../../base/dom.js";
import { formatFilter } from "../../base/filter.js";
import { formatAge, formatTime, pluralize } from "../../base/format.js";
import { post, remove } from "../../base/http.js";
import { card } from "../../parts/common/card.js";
import { emptyState } from "../../parts/common/placeholders.js";
import { TableCard } from "../../parts/common/table-card.js";

const TOKEN_COLUMNS = [
  { label: "Token", name: "n20" },
  { label: "Scopes", name: "n16" },
  { label: "Tasks" },
  { label: "Issued", num: true, name: "n8", hide: true },
  { label: "Expires", num: true, name: "n16" },
  { label: "Actions", name: "n9" },
];

const AUDIT_COLUMNS = [
  { label: "At", name: "n16" },
  { label: "Caller", name: "n20" },
  { label: "Action", name: "n9" },
  { label: "Target" },
  { label: "Outcome", hide: true },
  { label: "Address", name: "n11", hide: true },
];

export function show(place, context) {
  const tokenCard = new TableCard("Issued tokens", TOKEN_COLUMNS, { key: (one) => one.id, cells: (one) => toTokenCells(one, revoke) },
    () => emptyState("No issued tokens", "Tokens of the settings are not listed: only their hashes are known."), { className: "whole" });
  const auditCard = new TableCard("Audit log", AUDIT_COLUMNS, { key: (one) => `${one.at} ${one.what} ${one.target}`, cells: toAuditCells },
    () => emptyState("No actions yet", "Starts, cancellations, retries and new tokens are recorded here, never with their arguments."), { className: "whole" });
  const message = h("p", { className: "answer", role: "status" });
  let [tokenAnswer, auditAnswer] = [null, null];
  const draw = () => {
    tokenCard.render(tokenAnswer?.value?.tokens ?? [], { known: Boolean(tokenAnswer), error: tokenAnswer?.error, retry: () => request.send(), note: tokenAnswer?.value ? pluralize(tokenAnswer.value.tokens.length, "token") : "" });
    auditCard.render(auditAnswer?.value?.orders ?? [], { known: Boolean(auditAnswer), error: auditAnswer?.error, retry: () => auditRequest.send() });
  };
  const request = context.poll("api/v1/tokens", (answer) => ((tokenAnswer = answer), draw()));
  const auditRequest = context.poll("api/v1/audit?limit=200", (answer) => ((auditAnswer = answer), draw()), 5);
  async function revoke(id) {
    const text = await remove(`api/v1/tokens/${encodeURIComponent(id)}`).then(() => "Token revoked.", (error) => error.message);
    message.hidden = false;
    setText(message, text);
    request.send();
    auditRequest.send();
  }
  message.hidden = true;
  place.append(tokenForm(() => (request.send(), auditRequest.send())), message, tokenCard.el, auditCard.el);
  return { refresh: draw };
}

function toTokenCells({ id, name, scopes, only, minted_at: made, expires_at: until }, revoke) {
  return [h("span", { title: id }, name || id), scopes.join(" "), only?.length ? only.map(formatFilter).join(" and ") : "all tasks",
    made ? formatAge(made) : null, until ? formatTime(until) : null, button("Revoke", () => revoke(id), "small")];
}

function toAuditCells({ at, who, what, target = "", name = "", outcome = "", count = 1, address = "" }) {
  const isTask = ["start", "cancel", "retry"].includes(what) && target;
  const it = isTask ? h("a", { href: linkTo("task", {}, target) }, name || target) : `${name || target}`;
  return [formatTime(at), who, what, count > 1 ? h("span", {}, it, ` (${count})`) : it, outcome, address];
}

const SCOPES = [["read", "read"], ["read cancel", "read and cancel"], ["read start", "read and start"], ["read start cancel", "read, start and cancel"]];

/** The form that creates a token; the token is shown once. */
function tokenForm(onCreated) {
  const box = card("Create a token");
  const permitted = h("select", { className: "field", "aria-label": "What it may read" }, h("option", { value: "all" }, "all tasks"), h("option", { value: "named" }, "only tasks named"));
  const name = h("input", { className: "field", hidden: true, "aria-label": "Task names that it may read", title: "Such as reports.*; * is any text, ? one character" });
  const scopes = h("select", { className: "field", "aria-label": "What it may do" }, SCOPES.map(([value, label]) => h("option", { value }, label)));
  const label = h("input", { className: "field", maxLength: 60, placeholder: "what-for", pattern: "[A-Za-z0-9._\\-]+", title: "Letters, digits, dots, - and _", "aria-label": "Label" });
  const ttl = h("input", { className: "field", value: "15m", required: true, "aria-label": "Lifetime" });
  const token = h("pre", { hidden: true, tabIndex: 0, "aria-label": "The new token" });
  const copy = button("Copy", () => navigator.clipboard?.writeText(token.textContent), "small");
  const submit = h("button", { type: "submit", className: "small" }, "Create");
  const note = h("p", { className: "answer", role: "status" });
  const form = h("form", { className: "token-request" }, "Allow", scopes, "of", permitted, name, "for", ttl, label, submit, note);
  permitted.addEventListener("change", () => {
    name.hidden = permitted.value === "all";
    name.required = !name.hidden;
  });
  copy.hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const only = permitted.value === "all" ? {} : { only: { name: name.value.trim() } };
    const [text, error] = await post("api/v1/tokens", { scopes: scopes.value.split(" "), ttl: ttl.value, ...only, ...(label.value.trim() ? { label: label.value.trim() } : {}) }).then((answer) => [answer.token, ""], (error) => ["", error.message]);
    token.hidden = copy.hidden = !text;
    setText(token, text);
    setText(note, error || `The token can ${SCOPES.find(([value]) => value === scopes.value)[1]} ${only.only ? `tasks named ${only.only.name}` : "all tasks"}. It is shown only once:`);
    onCreated();
  });
  box.body.append(form, token, copy);
  return box.el;
}
