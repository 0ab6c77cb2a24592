/** Reads the pages of a list one after another: the newest first, or in the order of a query. */

import { get } from "../../base/http.js";
import { pickFields } from "./columns.js";

const PAGE_SIZE = 1_000;
const PAUSE_MS = 3_000; // after an error

export class PageReader {
  /** @type {any} The error of the last read; null if it succeeded. */ error = null;
  /** How many tasks a search has looked through; null where none is searched. */ searched = null;
  /** @type {number|null} How many there are to look through. */ toSearch = null;
  /** Whether a request is under way. */ busy = false;
  #window;
  #params = {};
  #fields = [];
  #next = null; // token of the next page; null: the first
  #generation = 0; // of the present query; answers to earlier ones are dropped
  #onPage = () => {};

  constructor(taskWindow) {
    this.#window = taskWindow;
  }

  /** Start with another query; `params` are those of `/api/v1/tasks`, `onPage` runs after each page. */
  start(params, fields, onPage) {
    [this.#params, this.#fields, this.#onPage] = [params, fields, onPage];
    this.reset();
  }

  /** Drop the request under way; the next one starts at the first page. */
  reset() {
    this.#generation += 1;
    this.busy = false;
    this.#next = this.error = this.searched = this.toSearch = null;
  }

  /** Read pages until a new task arrives or the list ends. */
  readMore() {
    return this.#readUntil((fresh) => fresh > 0);
  }

  /** Read the whole loaded part again, and drop tasks that no longer match. */
  async revalidate() {
    const [generation, last] = [this.#generation, this.#window.entries.at(-1)];
    const hasLast = (_, tasks) => !last || tasks.some((task) => task.id === last.id);
    while (generation === this.#generation && this.#window.more) if (await this.#readUntil(hasLast)) break;
    if (generation !== this.#generation) return;
    this.#window.dropUnconfirmed();
    this.#onPage();
  }

  async #readUntil(enough) {
    if (this.busy || !this.#window.more) return false;
    const generation = this.#generation;
    this.busy = true;
    try {
      while (generation === this.#generation) if (await this.#readPage(generation, enough)) break;
    } catch (error) {
      if (generation === this.#generation) await this.#fail(error);
      return false;
    } finally {
      if (generation === this.#generation) this.busy = false;
    }
    return generation === this.#generation;
  }

  async #readPage(generation, enough) {
    this.#window.beginPage();
    const { tasks, next = null, searched = null, total = null } = await get(this.#path());
    if (generation !== this.#generation) return true;
    const fresh = this.#window.addPage(tasks.map((task) => pickFields(task, this.#fields)));
    [this.#next, this.#window.more, this.error] = [next, Boolean(next), null];
    if (searched !== null) this.searched = (this.searched ?? 0) + searched; // each page counts its own
    this.toSearch = total ?? this.toSearch;
    this.#onPage();
    return !next || enough(fresh, tasks);
  }

  // A query that is refused stays refused; anything else is tried again.
  async #fail(error) {
    this.error = error;
    if (error.status === 400 || error.status === 422) this.#window.more = false;
    this.#onPage();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }

  #path() {
    const params = new URLSearchParams({ limit: String(PAGE_SIZE) });
    for (const [key, values] of Object.entries(this.#params)) for (const value of [values].flat()) params.append(key, value);
    if (this.#next) params.set("page", this.#next);
    return `api/v1/tasks?${params}`;
  }
}
