/** The form that asks for a token. */

import { byId, h } from "../../base/dom.js";
import { rememberPlace } from "../../base/browser/session.js";
import { BASE_URL } from "../../base/token.js";

const METHODS = { oidc: ["auth/login", "Sign in"], password: ["auth/password", "Sign in with a password"] };

/** Show the form; resolves with {token, isPrivate}. `methods`: how one can sign in instead. */
export function showTokenForm(/** @type {string} */ reason, /** @type {string[]} */ methods = []) {
  let submit;
  const promise = new Promise((resolve) => (submit = resolve));
  const input = h("input", { id: "token", type: "password", name: "token", required: true, autocomplete: "off", spellcheck: false });
  const only = h("input", { type: "checkbox", name: "alone" });
  const form = h("form", { className: "token-form", "aria-labelledby": "token-form-title" },
    h("h2", { id: "token-form-title" }, methods.length ? "Sign in to Herald" : "Herald needs a token"),
    reason ? h("p", { className: "refused", role: "alert" }, describeRefusal(reason)) : "",
    ...methods.map(signInLink),
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

function signInLink(method) {
  const [path, label] = METHODS[method];
  const link = h("a", { className: "button strong", href: new URL(path, BASE_URL).href }, label);
  link.addEventListener("click", rememberPlace);
  return h("p", {}, link);
}

// The server says what it needs; the reader wants to know what was wrong.
function describeRefusal(reason) {
  if (/^a valid token is needed/i.test(reason)) return "That token is wrong, or it has been revoked.";
  return `${reason[0].toUpperCase()}${reason.slice(1)}`;
}
