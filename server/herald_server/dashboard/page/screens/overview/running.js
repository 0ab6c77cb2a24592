/** What runs now, the longest first. */

import { here, link } from "../../address.js";
import { h } from "../../dom.js";
import { running, share } from "../../figures.js";
import { many, ticking } from "../../format.js";
import { bar } from "../../parts/bar.js";
import { fine, loading } from "../../parts/blank.js";
import { card } from "../../parts/card.js";
import { named } from "../../parts/name.js";
import { Table } from "../../parts/table.js";

const MOST = 20;
const COLUMNS = [
  { word: "Task" },
  { word: "Done", name: "n8", title: "As the task itself reported" },
  { word: "Worker", name: "n9", hide: true },
  { word: "For", num: true, name: "n7" },
];

export class Running {
  #card = card("Running, longest first", { href: link("tasks", { q: "state:STARTED" }) });
  #table = null;
  #shown = "";
  #slow = new Set();
  el = this.#card.el;

  constructor() {
    this.#table = new Table("Running tasks, the longest first", COLUMNS, { key: (task) => task.id, cells: (task) => this.#cells(task) });
  }

  draw({ longest, active, suspects }) {
    this.#slow = new Set((suspects ?? []).map(({ task }) => task.id));
    this.#table.render((longest ?? []).slice(0, MOST));
    this.#card.note.textContent = longest ? (active.truncated ? `of the newest ${longest.length}` : many(longest.length, "task")) : "";
    if (!longest) this.#show("wait", () => loading());
    else if (longest.length) this.#show("table", () => this.#table.el);
    else this.#show("none", () => fine("Nothing runs", "The workers are idle."));
  }

  #cells(task) {
    const part = share(task.progress);
    return [
      h("a", { href: here({ task: task.id }) }, named(task.name)),
      part === null ? "" : h("span", { className: "done" }, bar(part / 100), `${Math.floor(part)} %`),
      h("span", { className: "dim", title: task.worker }, task.worker ?? "–"),
      h("span", { className: this.#slow.has(task.id) ? "warm" : "" }, ticking(running(task))),
    ];
  }

  #show(key, make) {
    if (key !== this.#shown) this.#card.body.replaceChildren(make());
    this.#shown = key;
  }
}
