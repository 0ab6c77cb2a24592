/** Who the page speaks for: the name and scopes of its token, and the links of tasks. */

import { get } from "../http.js";

export class Caller {
  /** @type {{name: string, scopes: string[], narrowed: boolean}|null} null until known. */ identity = null;
  /** @type {{label: string, url: string}[]} */ links = [];
  #listeners = new Set();

  constructor() {
    get("api/v1/page").then((answer) => {
      this.identity = answer.caller;
      this.links = answer.links;
      for (const listener of this.#listeners) listener(this);
    }, () => {}); // a server of an earlier version has no such route
  }

  /** Call `listener` once it is known. */
  observe(listener) {
    this.#listeners.add(listener);
    if (this.identity) listener(this);
  }

  /** Whether the token has a scope; true until known: the server decides. */
  can(scope) {
    return this.identity?.scopes.includes(scope) ?? true;
  }
}
