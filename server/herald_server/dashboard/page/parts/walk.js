/** Reads the pages of a list one after another, from the newest task to the oldest. */

import { read } from "../rest.js";

const PAGE = 1_000;
const PAUSE_MS = 3_000; // after an error

export class Walk {
  /** Why the last page did not come, as a sentence; empty if all is well. */
  problem = "";
  #ledger;
  #fields;
  #filter = {};
  #next = null; // null: from the newest
  #turn = 0; // of the present question; answers to others are thrown away
  #busy = false;
  #told = () => {};

  constructor(ledger, fields) {
    [this.#ledger, this.#fields] = [ledger, fields];
  }

  /** Take up another question; `told` runs when pages came. */
  begin(filter, told) {
    [this.#filter, this.#told] = [filter, told];
    this.stop();
  }

  /** Throw away what is under way, and begin at the newest when asked to read on. */
  stop() {
    this.#turn += 1;
    this.#busy = false;
    this.#next = null;
    this.problem = "";
  }

  /** Read on until something new came, or the end. */
  on() {
    return this.#run((fresh) => fresh > 0);
  }

  /** Read everything down to the end of the list again, and forget what is not there. */
  async confirm() {
    const [turn, last] = [this.#turn, this.#ledger.lines.at(-1)];
    const there = (_, tasks) => !last || tasks.some((task) => task.id === last.id);
    while (turn === this.#turn && this.#ledger.more) if (await this.#run(there)) break;
    if (turn !== this.#turn) return;
    this.#ledger.settle();
    this.#told();
  }

  async #run(enough) {
    if (this.#busy || !this.#ledger.more) return false;
    const turn = this.#turn;
    this.#busy = true;
    try {
      while (turn === this.#turn) if (await this.#step(turn, enough)) break;
    } catch (error) {
      if (turn === this.#turn) await this.#fail(error);
      return false;
    } finally {
      if (turn === this.#turn) this.#busy = false;
    }
    return turn === this.#turn;
  }

  async #step(turn, enough) {
    this.#ledger.expect();
    const { tasks, next } = await read(this.#path());
    if (turn !== this.#turn) return true;
    const fresh = this.#ledger.page(tasks.map(this.#slim));
    [this.#next, this.#ledger.more, this.problem] = [next, Boolean(next), ""];
    this.#told();
    return !next || enough(fresh, tasks);
  }

  async #fail(error) {
    this.problem = `older tasks could not be read: ${error.message}`;
    this.#told();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }

  #path() {
    const words = new URLSearchParams({ limit: String(PAGE) });
    for (const [key, values] of Object.entries(this.#filter)) for (const value of values) words.append(key, value);
    if (this.#next) words.set("page", this.#next);
    return `api/v1/tasks?${words}`;
  }

  // A hundred thousand tasks with their results would not fit into a tab.
  #slim = (task) => Object.fromEntries(this.#fields.filter((key) => task[key] !== undefined).map((key) => [key, task[key]]));
}
