/** A box for a filter: what is written there is read by the one grammar. */

import { h, mark, say } from "../dom.js";
import { FilterError, format, parse } from "../filter.js";

const PAUSE_MS = 300; // the server takes ten subscriptions a second; a hand types faster

let made = 0;

export class FilterBox {
  #timer = 0;
  #applied = null; // null before the first that could be read
  #use;

  /** @param {{id: string, label: string, placeholder: string, className?: string,
   *           use: (filter: Record<string, string[]>, text: string) => void}} how */
  constructor({ id, label, placeholder, className = "", use }) {
    this.#use = use;
    this.wrong = h("p", { className: "wrong", role: "status", id: `wrong-${++made}` });
    this.input = h("input", { id, type: "search", className, autocomplete: "off", spellcheck: false, placeholder, "aria-label": label, "aria-describedby": this.wrong.id, autocapitalize: "off" });
    this.input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#settle(), PAUSE_MS);
    });
    this.input.addEventListener("keydown", (event) => event.key === "Enter" && this.#settle());
  }

  /** Write a text, as from the address. */
  write(text) {
    if (text !== this.input.value) this.input.value = text;
    this.#settle();
  }

  /** Write a filter, as from a click. */
  set(filter) {
    this.write(format(filter));
  }

  /** The filter in use. */
  get filter() {
    return this.#applied ?? {};
  }

  /** Say what is wrong with it; nothing when all is well. */
  complain(sentence) {
    say(this.wrong, sentence);
    mark(this.input, "aria-invalid", sentence ? "true" : null);
    mark(this.input, "title", sentence || null);
  }

  #settle() {
    clearTimeout(this.#timer);
    const text = this.input.value.trim();
    try {
      const filter = parse(text);
      this.complain("");
      const same = this.#applied !== null && format(filter) === format(this.#applied);
      this.#applied = filter;
      if (!same) this.#use(filter, text);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      this.complain(error.message);
    }
  }
}
