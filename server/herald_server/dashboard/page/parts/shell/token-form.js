/** The form that asks for a token. */

import { byId, h } from "../../base/dom.js";

/** Show the form; resolves with {token, isPrivate}. */
export function showTokenForm(/** @type {string} */ reason) {
  let submit;
  const promise = new Promise((resolve) => (submit = resolve));
  const input = h("input", { id: "token", type: "password", name: "token", required: true, autocomplete: "off", spellcheck: false });
  const only = h("input", { type: "checkbox", name: "alone" });
  const form = h("form", { className: "token-form", "aria-labelledby": "token-form-title" },
    h("h2", { id: "token-form-title" }, "Herald needs a token"),
    reason ? h("p", { className: "refused", role: "alert" }, describeRefusal(reason)) : "",
    h("p", {}, "Herald prints its address with a token when it starts: open that address. To create another token, run ", h("code", {}, "herald token"), " on the machine of Herald, and paste it here."),
    h("label", { htmlFor: "token" }, "Token"),
    h("div", { className: "pair" }, input, h("button", { className: "strong" }, "Open")),
    h("label", { className: "choice" }, only, "Only for this tab: do not share it with other tabs"),
    h("p", { className: "fine" }, "The token is deleted when its last tab is closed."));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!input.value.trim()) return;
    form.remove();
    submit({ token: input.value.trim(), isPrivate: only.checked });
  });
  byId("main").hidden = true;
  document.body.append(form);
  input.focus();
  return promise;
}

// The server says what it needs; the reader wants to know what was wrong.
function describeRefusal(reason) {
  if (/^a valid token is needed/i.test(reason)) return "That token is wrong, or it has been revoked.";
  return `${reason[0].toUpperCase()}${reason.slice(1)}`;
}
