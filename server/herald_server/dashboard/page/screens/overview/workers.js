/** The workers: who is there, how busy, and since when silent. */

import { link } from "../../address.js";
import { h } from "../../dom.js";
import { ago, busy, count } from "../../format.js";
import { workerBadge } from "../../parts/badge.js";
import { empty, loading } from "../../parts/blank.js";
import { card } from "../../parts/card.js";
import { Table } from "../../parts/table.js";
import { WORKERS } from "../../states.js";

const COLUMNS = [
  { word: "Worker" },
  { word: "State", name: "n9" },
  { word: "Busy", num: true, name: "n7", title: "Tasks that it runs, of its slots where they are known" },
  { word: "Done", num: true, name: "n7", title: "Tasks since it was started", hide: true },
  { word: "Heard", num: true, name: "n6", title: "Since its last heartbeat" },
];

export class Workers {
  #card = card("Workers", { href: link("workers") });
  #table = new Table("Workers", COLUMNS, { key: (worker) => worker.id, cells });
  #shown = "";
  el = this.#card.el;

  draw({ live: { workers } }) {
    const found = [...workers.items.values()].sort(urgency);
    this.#table.render(found);
    const online = found.filter((worker) => worker.state === "online").length;
    this.#card.note.textContent = found.length ? `${count(online)} of ${count(found.length)} online` : "";
    if (!workers.synced) this.#show("wait", () => loading());
    else if (found.length) this.#show("table", () => this.#table.el);
    else this.#show("none", () => empty("No worker has been heard of", "A worker speaks when it is started with events on: celery -A proj worker -E. “herald doctor” tells what is missing."));
  }

  #show(key, make) {
    if (key !== this.#shown) this.#card.body.replaceChildren(make());
    this.#shown = key;
  }
}

function cells(worker) {
  return [
    h("a", { href: link("tasks", { q: `worker:${worker.hostname}` }), title: worker.software ?? "" }, worker.hostname),
    workerBadge(worker.state),
    busy(worker),
    worker.processed === undefined ? null : count(worker.processed),
    ago(worker.last_heartbeat_at),
  ];
}

const order = Object.keys(WORKERS);
const urgency = (a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.id < b.id ? -1 : 1);
