/** One row of the list: a task, shown and kept true. */

import { h, mark, say, shape } from "./dom.js";
import { ago, runtime, stamp } from "./format.js";
import { link } from "./address.js";
import { stateLook } from "./states.js";

/** A table row that `fill`s itself from a task and writes only what differs. */
export class Row {
  #task = null;
  #state = "";

  constructor(id) {
    const td = (name, ...inside) => h("td", { role: "cell", className: name }, inside);
    this.word = h("span", { className: "state" });
    this.path = h("span", { className: "path" });
    this.last = h("span");
    this.name = h("a", { href: link({ task: id }), tabIndex: -1 }, this.path, this.last);
    this.worker = td("c-worker");
    this.tries = td("c-try num");
    this.percent = h("span", { className: "percent" });
    this.meter = h("progress", { max: 100, "aria-label": "Progress" });
    this.real = h("span", { className: "meter", hidden: true }, this.meter, this.percent);
    this.run = td("c-run num");
    this.age = td("c-age num");
    this.tr = h("tr", { role: "row", "data-id": id }, td("c-state", this.word),
      td("c-name", this.name), h("td", { role: "cell", className: "c-id", title: id }, id.slice(0, 8)), this.worker,
      this.tries, td("c-progress", this.real), this.run, this.age);
  }

  fill(task) {
    if (task === this.#task) return;
    this.#task = task;
    this.#showState(task);
    this.#showName(task.name);
    say(this.worker, task.worker ?? "");
    mark(this.worker, "title", task.worker);
    say(this.tries, task.attempt > 1 ? String(task.attempt) : "");
    this.#showProgress(task);
    mark(this.age, "title", stamp(born(task)));
    this.tick();
  }

  /** Move what moves with time alone. */
  tick() {
    say(this.run, runtime(this.#task));
    say(this.age, ago(born(this.#task)));
  }

  // The end of a dotted name tells tasks apart, so it is the path that gives way.
  #showName(name) {
    const cut = (name ?? "").lastIndexOf(".") + 1;
    say(this.path, name?.slice(0, cut) ?? "name not heard yet");
    say(this.last, name?.slice(cut) ?? "");
    mark(this.name, "title", name);
  }

  #showState(task) {
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

/** The progress that a task reported, 0–100, or null. */
export function share(progress) {
  if (Number.isFinite(progress?.percent)) return progress.percent;
  const { current, total } = progress ?? {};
  return Number.isFinite(current) && total > 0 ? Math.min(100, (100 * current) / total) : null;
}

/** When a task came up. */
export const born = (task) => task.received_at ?? task.submitted_at ?? task.started_at ?? task.updated_at;
