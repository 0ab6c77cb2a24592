/** What can be done about one task: copy, share, ask why, cancel, send again. */

import { link } from "../address.js";
import { button, h, say } from "../dom.js";
import { cancel, read, retry } from "../rest.js";

/** Buttons and the answer to the last one. One set for each showing of a task. */
export class Orders {
  el = h("div", { className: "actions" });
  #task = { id: "" };
  #asking = null; // what must be confirmed: "cancel", "retry" or null
  #answer = null; // {tone, text, more}
  #shown = "";
  #id = button("Copy id", () => this.#copy(this.#id, this.#task.id));
  #link = button("Copy link", () => this.#copy(this.#link, new URL(link("task", {}, this.#task.id), location.href).href));

  /** Show what can be done about this task, as far as it is known. */
  show(task) {
    if (task.id !== this.#task.id) this.#forget();
    this.#task = task;
    this.#draw();
  }

  /** Say something in the place of an answer. */
  tell(tone, text, more = null) {
    this.#answer = { tone, text, more };
    this.#draw();
  }

  #forget() {
    [this.#asking, this.#answer] = [null, null];
    say(this.#id, "Copy id");
    say(this.#link, "Copy link");
  }

  async #copy(where, text) {
    await clip(text);
    say(where, "Copied");
  }

  // What stays the same stays in place: under a pointer, in focus.
  #draw() {
    const { id, state, final } = this.#task;
    const now = JSON.stringify([id, state && !final, Boolean(final), this.#asking, this.#answer]);
    if (now === this.#shown) return;
    this.#shown = now;
    this.el.replaceChildren(...this.#buttons(), ...this.#said());
  }

  #buttons() {
    const { state, final } = this.#task;
    const [copied, shared] = [this.#id, this.#link];
    if (!state || state === "UNKNOWN") return [copied, shared];
    if (this.#asking) return [copied, shared, this.#sure()];
    if (final) return [copied, shared, button("Run again …", () => this.#ask("retry"))];
    return [copied, shared, button("Why is it not done?", () => this.#why()), button("Cancel task …", () => this.#ask("cancel"), "danger")];
  }

  #sure() {
    const no = button("No", () => this.#ask(null));
    if (this.#asking === "cancel") return h("span", { className: "sure" }, "Stop it for good?", button("Yes, cancel it", () => this.#cancel(), "danger strong"), no);
    const { args, kwargs } = this.#task;
    const other = h("textarea", { className: "field", rows: 2, spellcheck: false, "aria-label": "Other keyword arguments, as a JSON object" });
    const cut = [args, kwargs].some((text) => /…|\.\.\./.test(text ?? ""));
    return h("div", { className: "sure again" },
      h("p", {}, cut ? "Its arguments are not known whole: give all of them as a JSON object of keyword arguments." : "Send it again with these arguments? Other keyword arguments can be given as a JSON object."),
      h("pre", { tabIndex: 0, "aria-label": "Arguments" }, [args && args !== "()" ? args : "", kwargs ?? ""].filter(Boolean).join("\n") || "none"),
      other, button("Yes, run it again", () => this.#retry(other.value.trim()), "strong"), no);
  }

  #said() {
    if (!this.#answer) return [];
    const { tone, text, more } = this.#answer;
    return [h("p", { className: "answer", role: "status", "data-tone": tone }, text, more ? [" ", h("a", { href: more.href }, more.word)] : null)];
  }

  #ask(what) {
    this.#asking = what;
    this.#draw();
    this.el.querySelector(what ? ".sure button.strong" : "button:last-of-type")?.focus();
  }

  async #order(waiting, order, told) {
    const { id } = this.#task;
    this.#asking = null;
    this.tell("wait", waiting);
    const answer = await order(id).then(told, (error) => ({ tone: "bad", text: error.message }));
    if (id === this.#task.id) this.tell(answer.tone, answer.text, answer.more ?? null);
  }

  #cancel() {
    this.#order("Asking the worker …", cancel, ({ status, message }) =>
      ({ tone: status === "revoked" ? "good" : "warn", text: message ? `${status}: ${message}` : status }));
  }

  #retry(text) {
    let given = {};
    try {
      if (text) given = { kwargs: JSON.parse(text) };
    } catch (error) {
      return this.tell("bad", `These are no keyword arguments: ${error.message}. Write a JSON object, such as {"order_id": 12}.`);
    }
    this.#order("Sending it again …", (id) => retry(id, given), ({ task_id: id, message }) =>
      ({ tone: "good", text: message ?? "Sent.", more: { word: "Open the new run", href: link("task", {}, id) } }));
  }

  #why() {
    this.#order("Asking the workers …", (id) => read(`api/v1/tasks/${encodeURIComponent(id)}/why`), ({ message, advice }) =>
      ({ tone: "quiet", text: [message, advice].filter(Boolean).join(" ") }));
  }
}

// Without https there is no clipboard to write to; a selection can still be copied.
async function clip(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const held = document.body.appendChild(h("textarea", { value: text, className: "unseen" }));
  held.select();
  document.execCommand("copy");
  held.remove();
}
