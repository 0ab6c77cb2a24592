/** An input for a filter, checked while it is written. */

import { h, setAttr, setText } from "../../base/dom.js";
import { FilterError, formatFilter, parseFilter } from "../../base/filter.js";

const DEBOUNCE_MS = 300; // the server accepts ten subscriptions a second

let count = 0;

export class FilterBox {
  #timer = 0;
  #applied = null; // null before the first valid one
  #onFilter;

  /** @param {{id: string, label: string, placeholder: string, className?: string,
   *           onFilter: (filter: Record<string, string[]>, text: string) => void}} options */
  constructor({ id, label, placeholder, className = "", onFilter }) {
    this.#onFilter = onFilter;
    this.error = h("p", { className: "filter-error", role: "status", id: `filter-error-${++count}` });
    this.input = h("input", { id, type: "search", className, autocomplete: "off", spellcheck: false, placeholder, "aria-label": label, "aria-describedby": this.error.id, autocapitalize: "off" });
    this.input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#apply(), DEBOUNCE_MS);
    });
    this.input.addEventListener("keydown", (event) => event.key === "Enter" && this.#apply());
  }

  /** Set the text, as from the address. */
  setText(text) {
    if (text !== this.input.value) this.input.value = text;
    this.#apply();
  }

  /** Set the filter, as from a click. */
  setFilter(filter) {
    this.setText(formatFilter(filter));
  }

  /** The filter in use. */
  get filter() {
    return this.#applied ?? {};
  }

  /** Show an error; an empty one removes it. */
  showError(sentence) {
    setText(this.error, sentence);
    setAttr(this.input, "aria-invalid", sentence ? "true" : null);
    setAttr(this.input, "title", sentence || null);
  }

  #apply() {
    clearTimeout(this.#timer);
    const text = this.input.value.trim();
    try {
      const filter = parseFilter(text);
      this.showError("");
      const same = this.#applied !== null && formatFilter(filter) === formatFilter(this.#applied);
      this.#applied = filter;
      if (!same) this.#onFilter(filter, text);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      this.showError(error.message);
    }
  }
}
