/** One row of a list: a task, shown and kept true; it may become another task's. */

import { here } from "../address.js";
import { h, mark, say, shape } from "../dom.js";
import { born, share } from "../figures.js";
import { ago, runtime, stamp } from "../format.js";
import { stateLook } from "../states.js";
import { Name } from "./name.js";

/** @type {{word: string, name: string, num?: boolean, title?: string}[]} */
export const COLUMNS = [
  { word: "State", name: "c-state" },
  { word: "Task", name: "c-name" },
  { word: "Id", name: "c-id" },
  { word: "Queue", name: "c-queue" },
  { word: "Worker", name: "c-worker" },
  { word: "Try", name: "c-try", num: true, title: "Attempt" },
  { word: "Progress", name: "c-progress" },
  { word: "Runtime", name: "c-run", num: true },
  { word: "Age", name: "c-age", num: true, title: "Since a worker received it" },
];

/** A table row that `fill`s itself from a task and writes only what differs. */
export class Row {
  #task = null;
  #state = "";
  #label = new Name();

  constructor() {
    const cell = Object.fromEntries(COLUMNS.map(({ name, num }) => [name, h("td", { role: "cell", className: num ? `${name} num` : name })]));
    this.cell = cell;
    this.word = h("span", { className: "state" });
    this.name = h("a", { tabIndex: -1 }, this.#label.el);
    this.percent = h("span", { className: "percent" });
    this.meter = h("progress", { max: 100, "aria-label": "Progress" });
    this.real = h("span", { className: "meter", hidden: true }, this.meter, this.percent);
    cell["c-state"].append(this.word);
    cell["c-name"].append(this.name);
    cell["c-progress"].append(this.real);
    this.tr = h("tr", { role: "row" }, Object.values(cell));
  }

  fill(task) {
    if (task === this.#task) return;
    const { cell } = this;
    if (task.id !== this.#task?.id) this.#become(task.id);
    this.#task = task;
    this.#showState(task);
    this.#label.set(task.name);
    this.#text(cell["c-queue"], task.queue);
    this.#text(cell["c-worker"], task.worker);
    say(cell["c-try"], task.attempt > 1 ? String(task.attempt) : "");
    this.#showProgress(task);
    mark(cell["c-age"], "title", stamp(born(task)));
    this.tick();
  }

  /** Say where the row stands, and whether the keyboard is (or could begin) here. */
  place(index, current, reachable) {
    mark(this.tr, "aria-rowindex", index + 2);
    mark(this.tr, "aria-current", current ? "true" : null);
    this.name.tabIndex = reachable ? 0 : -1;
  }

  /** Move what moves with time alone. */
  tick() {
    say(this.cell["c-run"], runtime(this.#task));
    say(this.cell["c-age"], ago(born(this.#task)));
  }

  /** Show for a moment that it is new. */
  light() {
    this.tr.classList.add("fresh");
  }

  #become(id) {
    this.tr.classList.remove("fresh");
    this.tr.dataset.id = id;
    this.name.href = here({ task: id });
    say(this.cell["c-id"], id.slice(0, 8));
    mark(this.cell["c-id"], "title", id);
  }

  #text(cell, text) {
    say(cell, text ?? "");
    mark(cell, "title", text ?? null);
  }

  #showState(task) {
    mark(this.tr, "data-state", task.state);
    if (task.state === this.#state) return;
    const look = stateLook((this.#state = task.state));
    this.word.replaceChildren(shape(look.shape), look.word);
    mark(this.tr, "data-tone", look.tone);
    mark(this.word, "data-tone", look.tone);
  }

  // Only what the task itself reported; a bar that guesses would be a lie.
  #showProgress({ progress, final }) {
    const percent = share(progress);
    this.real.hidden = final || percent === null;
    if (this.real.hidden) return;
    this.meter.value = percent;
    say(this.percent, `${Math.floor(percent)} %`);
    mark(this.real, "title", progress.message);
  }
}
