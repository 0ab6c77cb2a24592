/** Counts, workers, queues and schedules: the collections that every screen uses. */

import { schedule } from "../dom.js";

/**
 * The collections that are always subscribed to, and their listeners.
 * `counts`: state → {count}; `workers`: hostname → worker;
 * `queues`: name → queue; `schedules`: id → schedule; `lastChangeAt`: ms of the last change.
 */
export class Live {
  #listeners = new Set();
  #notify = () => this.#listeners.forEach((listener) => listener(this));
  lastChangeAt = null;

  /** @param {import("../../../herald/client.js").Client} client */
  constructor(client) {
    for (const topic of ["counts", "workers", "queues", "schedules"]) this[topic] = client.subscribe({ id: topic, topic }, (_, change) => this.#onChange(topic, change));
  }

  /** Call `listener` before the first frame after a change; returns a function that stops it. */
  observe(listener) {
    this.#listeners.add(listener);
    schedule(() => this.#listeners.has(listener) && listener(this));
    return () => this.#listeners.delete(listener);
  }

  /** Return how many tasks are in these states; null until known. */
  count(...states) {
    if (!this.counts.synced) return null;
    return states.reduce((sum, state) => sum + (this.counts.items.get(state)?.count ?? 0), 0);
  }

  /** How many tasks are stored; null until known. */
  get total() {
    return this.count(...this.counts.items.keys());
  }

  #onChange(topic, change) {
    if (!change.reset && change.put.length && topic === "counts") this.lastChangeAt = Date.now();
    schedule(this.#notify);
  }
}
