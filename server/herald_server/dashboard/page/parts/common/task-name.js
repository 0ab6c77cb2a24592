/** A dotted task name. The last part is the distinct one, so the path is cut first. */

import { h, setAttr, setText } from "../../base/dom.js";

export class TaskName {
  #path = h("span", { className: "path" });
  #last = h("span", { className: "last" });
  el = h("span", { className: "name" }, this.#path, this.#last);

  constructor(name) {
    if (name !== undefined) this.set(name);
  }

  /** @param {string|null|undefined} name */
  set(name) {
    const cut = (name ?? "").lastIndexOf(".") + 1;
    setText(this.#path, name?.slice(0, cut) ?? "");
    setText(this.#last, name?.slice(cut) ?? "name not known yet");
    setAttr(this.el, "title", name ?? null);
  }
}

/** The name as an element that does not change. */
export const taskName = (name) => new TaskName(name).el;
