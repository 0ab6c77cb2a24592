/** Tasks that look wrong: longer than their kind ever takes, lost, or with a silent worker. */

import { here, link } from "../../address.js";
import { h } from "../../dom.js";
import { running } from "../../figures.js";
import { ago, atLeast, count, many, span, ticking } from "../../format.js";
import { badge } from "../../parts/badge.js";
import { failed, fine, loading } from "../../parts/blank.js";
import { card } from "../../parts/card.js";
import { named } from "../../parts/name.js";
import { Table } from "../../parts/table.js";
import { STATES } from "../../states.js";

const WHY = {
  long: { word: "Slow", shape: "warn", tone: "warn", means: "runs longer than 99 of 100 of its kind did" },
  silent: { word: "Silent", shape: "warn", tone: "bad", means: "its worker has not been heard of when it should have been" },
  lost: STATES.LOST,
};
const COLUMNS = [
  { word: "Task" },
  { word: "Why", name: "n8" },
  { word: "For", num: true, name: "n6", title: "How long it runs, or since when it is lost" },
  { word: "p99", num: true, name: "n6", title: "99 of 100 of its kind took less" },
];
const MOST = 50;

export class Stuck {
  #card = card("Stuck and suspect", { href: link("tasks", { q: "state:LOST" }) });
  #table = new Table("Stuck and suspect tasks", COLUMNS, { key: ({ task }) => task.id, cells });
  #shown = "";
  el = this.#card.el;

  draw({ suspects, figures, asked }) {
    const found = suspects ?? [];
    this.#table.render(found.slice(0, MOST));
    const shown = Math.min(found.length, MOST);
    const { suspects_total: total = 0, suspects_whole: whole = true } = figures?.value ?? {};
    const cut = total > shown || !whole;
    this.#card.note.textContent = found.length ? (cut ? `${count(shown)} of ${atLeast(total, whole)}` : many(found.length, "task")) : "";
    if (!figures) this.#show("wait", () => loading());
    else if (figures.error) this.#show("error", () => failed(figures.error.message, () => asked.ask()));
    else if (found.length) this.#show("table", () => this.#table.el);
    else this.#show("none", () => fine("None", "No task is lost, none runs longer than its p99, and no worker that has some is silent."));
  }

  #show(key, make) {
    if (key !== this.#shown) this.#card.body.replaceChildren(make());
    this.#shown = key;
  }
}

function cells({ why, task, p99 }) {
  const time = why === "lost" ? ago(task.updated_at) : task.started_at ? ticking(running(task)) : null;
  return [h("a", { href: here({ task: task.id }) }, named(task.name)), badge(WHY[why] ?? WHY.long), time, p99 === undefined ? "" : span(p99)];
}
