/** A dotted name. Its end tells tasks apart, so it is the path that gives way. */

import { h, mark, say } from "../dom.js";

export class Name {
  #path = h("span", { className: "path" });
  #last = h("span", { className: "last" });
  el = h("span", { className: "name" }, this.#path, this.#last);

  constructor(name) {
    if (name !== undefined) this.set(name);
  }

  /** @param {string|null|undefined} name */
  set(name) {
    const cut = (name ?? "").lastIndexOf(".") + 1;
    say(this.#path, name?.slice(0, cut) ?? "");
    say(this.#last, name?.slice(cut) ?? "name not heard yet");
    mark(this.el, "title", name ?? null);
  }
}

/** The name as an element that does not change. */
export const named = (name) => new Name(name).el;
