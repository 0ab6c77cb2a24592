/** The form that asks for a token. It is loaded only when it is needed. */

import { byId, h } from "./dom.js";

/** Show it; resolves with what was given: {token, only}, `only` for this tab. */
export function show(/** @type {string} */ why) {
  let given;
  const promise = new Promise((resolve) => (given = resolve));
  const input = h("input", { id: "token", type: "password", name: "token", required: true, autocomplete: "off", spellcheck: false });
  const only = h("input", { type: "checkbox", name: "alone" });
  const form = h("form", { className: "gate", "aria-labelledby": "gate-title" },
    h("h2", { id: "gate-title" }, why || "Herald needs a token"),
    h("p", {}, "Herald prints an address that carries a token when it starts; opening that address is enough. To make another one, run ", h("code", {}, "herald token"), " where Herald runs, and paste it here."),
    h("label", { htmlFor: "token" }, "Token"),
    h("div", { className: "pair" }, input, h("button", { className: "strong" }, "Open")),
    h("label", { className: "choice" }, only, "Only for this tab: no other tab of this browser gets it"),
    h("p", { className: "fine" }, "It is forgotten with the last tab that has it."));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!input.value.trim()) return;
    form.remove();
    given({ token: input.value.trim(), only: only.checked });
  });
  byId("main").hidden = true;
  document.body.append(form);
  input.focus();
  return promise;
}
