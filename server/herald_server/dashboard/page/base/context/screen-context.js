/** The subscriptions, requests and timers of a screen; they end when it is left. */

import { runEverySecond, schedule } from "../dom.js";
import { get } from "../http.js";
import { TimeRange } from "./range.js";

const POLL_S = 15; // how old an answer over HTTP may grow without a reload

/** The context of one visit to a screen: the second argument of `show`. */
export class ScreenContext {
  #client;
  #cleanups = new Set();
  #ended = false;

  /** @param {import("../../../herald/client.js").Client} client
   *  @param {import("./live.js").Live} live @param {import("../address.js").Place} place */
  constructor(client, live, place, attention = null) {
    this.#client = client;
    this.live = live;
    /** @type {import("./attention.js").Attention} What needs a person. */ this.attention = attention;
    this.place = place;
    /** The time range of the address; another one opens the screen again. */
    this.range = new TimeRange(place.params.at);
  }

  /** Subscribe to a collection; `onChange(collection, change)` runs after each frame. */
  subscribe(wanted, onChange) {
    const deliver = (collection, change) => this.#ended || onChange(collection, change);
    const collection = this.#client.subscribe(wanted, deliver);
    this.onEnd(() => this.#client.unsubscribe(wanted.id));
    return collection;
  }

  /** End a subscription before the screen is left. */
  unsubscribe(/** @type {string} */ id) {
    if (!this.#ended) this.#client.unsubscribe(id);
  }

  /** The state of the connection. */
  get connection() {
    return this.#client.state;
  }

  /** Call `listener` with the state of the connection, now and at each change; returns a function that stops it. */
  observe(listener) {
    return this.onEnd(this.#client.observe(listener));
  }

  /** Run `tick` each second while the page is visible; returns a function that stops it. */
  everySecond(tick) {
    return this.onEnd(runEverySecond(tick));
  }

  /**
   * Send a GET request now, every `interval` seconds (0: never) while the page is
   * visible, and on `refresh()`. Calls `show({value})` or `show({error})`; `stop()` ends it.
   */
  poll(path, show, interval = POLL_S) {
    const request = new PolledRequest(path, (answer) => this.#ended || schedule(() => this.#ended || show(answer)), interval);
    const stop = this.everySecond(() => request.tick());
    request.send();
    request.stop = () => (request.end(), stop());
    return request;
  }

  /** Run `end` when the screen is left; returns it, for what ends earlier. */
  onEnd(end) {
    this.#cleanups.add(end);
    return () => this.#cleanups.delete(end) && end();
  }

  end() {
    this.#ended = true;
    for (const end of this.#cleanups) end();
    this.#cleanups.clear();
  }
}

/** A GET request that is repeated, never twice at the same time. */
class PolledRequest {
  #path;
  #show;
  #interval;
  #busy = false;
  #sentAt = 0;
  #pending = false;
  #ended = false;

  constructor(path, show, interval) {
    [this.#path, this.#show, this.#interval] = [path, show, interval];
  }

  /** Send the request now. */
  async send() {
    this.#pending = true;
    if (this.#busy) return;
    this.#busy = true;
    while (this.#pending) await this.#sendOnce();
    this.#busy = false;
  }

  /** Send it unless less than `seconds` have passed since the last time. */
  refresh(seconds = 2) {
    if (performance.now() - this.#sentAt >= 1_000 * seconds) this.send();
  }

  end() {
    this.#ended = true;
  }

  tick() {
    if (this.#interval) this.refresh(this.#interval);
  }

  async #sendOnce() {
    this.#pending = false;
    this.#sentAt = performance.now();
    const answer = await get(this.#path).then((value) => ({ value }), (error) => ({ error }));
    if (!this.#ended) this.#show(answer);
  }
}
