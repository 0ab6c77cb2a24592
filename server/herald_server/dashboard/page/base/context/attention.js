/** The problems of the present moment, on every screen: for the title, notices and the overview. */

import { runEverySecond, schedule } from "../dom.js";
import { get } from "../http.js";
import { findProblems } from "./problems.js";

const POLL_S = 10;
const KEEP_S = 30; // how long the last answer is used while requests fail

// The rest is pushed.
const FIELDS = "health,failing,suspects,suspects_total,suspects_counts,suspects_whole,series";

export class Attention {
  /** The answer of `/api/v1/overview`: {value} or {error}; null before the first. */ figures = null;
  /** @type {import("./problems.js").Problem[]|null} null until known. */ problems = null;
  /** Whether the token permits only some tasks: then nothing is known of the system. */ isPartial = false;
  live;
  /** Runs after each look, in hidden pages too. @type {(problems: any) => void} */ onFound = () => {};
  #listeners = new Set();
  #sentAt = -Infinity;
  #succeededAt = 0;
  #busy = false;
  #isDirty = false;
  #foundAt = -Infinity;

  /** @param {import("./live.js").Live} live */
  constructor(live) {
    this.live = live;
    live.observe(() => this.#refresh());
    runEverySecond(() => this.#tick());
  }

  /** Call `listener` after each change, before a frame; returns a function that stops it. */
  observe(listener) {
    this.#listeners.add(listener);
    schedule(() => this.#listeners.has(listener) && listener(this));
    return () => this.#listeners.delete(listener);
  }

  /** Ask the server again. */
  async send() {
    if (this.#busy || this.isPartial) return;
    this.#busy = true;
    this.#sentAt = performance.now();
    const answer = await get(`api/v1/overview?fields=${FIELDS}`).then((value) => ({ value }), (error) => ({ error }));
    this.#busy = false;
    this.#take(answer);
  }

  // One failed request, as during a restart, keeps the last answer.
  #take(answer) {
    this.isPartial = answer.error?.status === 403;
    const keepsLast = answer.error && this.figures?.value && performance.now() - this.#succeededAt < 1_000 * KEEP_S;
    if (!answer.error) this.#succeededAt = performance.now();
    if (!keepsLast) this.figures = answer;
    this.#update();
  }

  // Live data changes ten times a second; problems are looked for once.
  #refresh() {
    this.#isDirty = true;
    if (performance.now() - this.#foundAt > 1_000) this.#update();
  }

  #tick() {
    if (this.#isDirty) this.#update();
    if (performance.now() - this.#sentAt >= 1_000 * POLL_S) this.send();
  }

  #update() {
    this.#isDirty = false;
    this.#foundAt = performance.now();
    this.problems = this.isPartial ? null : findProblems({ live: this.live, figures: this.figures });
    this.onFound(this.problems);
    schedule(this.#notify);
  }

  #notify = () => this.#listeners.forEach((listener) => listener(this));
}
