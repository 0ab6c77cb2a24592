/** What fails now, the most unusual first, beside how much of it usually fails. */

import { link } from "../../address.js";
import { h } from "../../dom.js";
import { count, percent } from "../../format.js";
import { alarm } from "../../parts/badge.js";
import { failed, fine, loading } from "../../parts/blank.js";
import { card } from "../../parts/card.js";
import { named } from "../../parts/name.js";
import { Table } from "../../parts/table.js";

const COLUMNS = [
  { word: "Task" },
  { word: "Failed", num: true, name: "n5" },
  { word: "Share", num: true, name: "n5", title: "Of those that ended in the last five minutes" },
  { word: "Usual", num: true, name: "n6", title: "Over the day before" },
];

export class Failures {
  #card = card("Failing, last 5 min", { href: link("tasks", { q: "state:FAILURE" }) });
  #table = new Table("Failures of the last five minutes by task", COLUMNS, { key: (one) => one.name, cells });
  #shown = "";
  el = this.#card.el;

  draw({ figures, asked }) {
    const found = figures?.value?.failing ?? [];
    this.#table.render(found);
    if (!figures) this.#show("wait", () => loading());
    else if (figures.error) this.#show("error", () => failed(figures.error.message, () => asked.ask()));
    else if (!found.length) this.#show("none", () => fine("Nothing failed", "Not one task in the last five minutes."));
    else this.#show("table", () => this.#table.el);
  }

  #show(key, make) {
    if (key !== this.#shown) this.#card.body.replaceChildren(make());
    this.#shown = key;
  }
}

function cells({ name, failed: n, rate, normal, unusual }) {
  return [
    h("span", { className: "pair" }, h("a", { href: link("tasks", { q: `name:${name} state:FAILURE` }) }, named(name)), unusual ? alarm("Unusual", "So many would be an accident in less than one of a hundred cases") : null),
    h("span", { className: unusual ? "hot" : "" }, count(n)),
    percent(rate),
    normal === undefined ? null : percent(normal),
  ];
}
