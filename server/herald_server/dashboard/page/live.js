/** What every screen wants to know, and the frame too: counts, workers, queues. */

import { soon } from "./dom.js";

/**
 * The collections that are always followed, and who listens.
 * `counts`: state → {count}; `workers`: hostname → worker;
 * `queues`: name → queue; `heardAt`: ms of the last change.
 */
export class Live {
  #listeners = new Set();
  #tell = () => this.#listeners.forEach((listener) => listener(this));
  heardAt = null;

  /** @param {import("../herald/client.js").Client} client */
  constructor(client) {
    for (const topic of ["counts", "workers", "queues"]) this[topic] = client.subscribe({ id: topic, topic }, (_, change) => this.#hear(topic, change));
  }

  /** Hear of changes at most as often as the page paints; returns how to stop. */
  observe(listener) {
    this.#listeners.add(listener);
    soon(() => this.#listeners.has(listener) && listener(this));
    return () => this.#listeners.delete(listener);
  }

  /** How many tasks are in these states; null until told. */
  count(...states) {
    if (!this.counts.synced) return null;
    return states.reduce((sum, state) => sum + (this.counts.items.get(state)?.count ?? 0), 0);
  }

  /** How many tasks are remembered; null until told. */
  get total() {
    return this.count(...this.counts.items.keys());
  }

  /** Note that a change was heard at this time (ms). */
  heard(at = Date.now()) {
    this.heardAt = Math.max(this.heardAt ?? 0, at);
  }

  #hear(topic, change) {
    if (!change.reset && change.put.length && topic === "counts") this.heard();
    soon(this.#tell);
  }
}
