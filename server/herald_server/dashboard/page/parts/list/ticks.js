/** The ticked rows of a list: by their boxes, a range with Shift, or all that are loaded. */

import { h } from "../../base/dom.js";

export class Ticks {
  #ids = new Set();
  #source;
  #onChange;
  #last = null; // where a range begins
  /** The box that ticks all loaded rows. */ box = h("input", { type: "checkbox", "aria-label": "Select all loaded tasks" });

  /** @param {import("./task-window.js").TaskWindow} source @param {() => void} onChange */
  constructor(source, onChange) {
    [this.#source, this.#onChange] = [source, onChange];
    this.box.addEventListener("change", () => (this.box.checked ? this.set(source.entries.map((entry) => entry.id)) : this.clear()));
  }

  get size() {
    return this.#ids.size;
  }

  get ids() {
    return [...this.#ids];
  }

  has(id) {
    return this.#ids.has(id);
  }

  set(ids) {
    this.#ids = new Set(ids);
    this.#update();
  }

  clear() {
    this.#last = null;
    this.set([]);
  }

  toggle(id) {
    if (!this.#ids.delete(id)) this.#ids.add(id);
    this.#last = id;
    this.#update();
  }

  /** A click into the cell of the box; with Shift, all rows since the last one. */
  onClick(event, id) {
    const { entries } = this.#source;
    const [from, to] = [this.#source.indexOf(this.#last), this.#source.indexOf(id)];
    if (!event.shiftKey || from < 0 || to < 0) return this.toggle(id);
    for (const entry of entries.slice(Math.min(from, to), Math.max(from, to) + 1)) this.#ids.add(entry.id);
    this.#update();
  }

  #update() {
    this.box.checked = this.#ids.size > 0;
    this.box.indeterminate = this.#ids.size > 0 && this.#ids.size < this.#source.size;
    this.#onChange();
  }
}
