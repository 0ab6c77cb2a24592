/** What suggestions are made of: names, workers, queues and counts that the page knows. */

import { get } from "../../base/http.js";

export class Known {
  names = [];
  #live;

  /** @param {import("../../base/context/screen-context.js").ScreenContext} context */
  constructor(context) {
    this.#live = context.live;
    // A token for some tasks only may not read it: then no names are suggested.
    get("api/v1/types").then(({ types }) => (this.names = types.map(({ name }) => name)), () => {});
  }

  get workers() {
    return [...this.#live.workers.items.values()].map(({ hostname }) => hostname).sort();
  }

  get queues() {
    return [...this.#live.queues.items.values()].map(({ name, depth }) => [name, depth]);
  }

  counts = (state) => this.#live.count(state);
}
