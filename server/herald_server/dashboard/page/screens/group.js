/** One group as one thing: how far it has come, and each of its tasks. */

import { link } from "../address.js";
import { h, soon } from "../dom.js";
import { count, many, percent, runtime } from "../format.js";
import { post } from "../rest.js";
import { stateBadge } from "../parts/badge.js";
import { bar } from "../parts/bar.js";
import { empty } from "../parts/blank.js";
import { Listing } from "../parts/listing.js";
import { named } from "../parts/name.js";
import { Table } from "../parts/table.js";
import { Tile } from "../parts/tile.js";
import { STATES } from "../states.js";

const MOST = 500; // members that are shown; beyond, the list of tasks has them

const COLUMNS = [
  { word: "State", name: "n9" },
  { word: "Task" },
  { word: "Id", hide: true },
  { word: "Worker", name: "n16", hide: true },
  { word: "For", num: true, name: "n8" },
];

export function show(place, visit) {
  const screen = new Group(visit.place.arg, visit);
  place.append(...screen.parts);
  return { refresh: () => screen.draw() };
}

class Group {
  #id;
  #tasks;
  #done = new Tile("Finished");
  #failed = new Tile("Failed");
  #running = new Tile("Running");
  #waiting = new Tile("Waiting");
  #answer = h("p", { className: "answer", role: "status" });
  #stop = h("button", { type: "button", className: "danger" }, "Cancel all …");
  #list = new Listing("Tasks", new Table("Tasks of the group", COLUMNS, { key: (task) => task.id, cells }), () => empty("Nobody is known in it", "Its tasks appear here when they are heard of."), { className: "whole" });
  #sure = false;

  constructor(id, visit) {
    this.#id = id;
    this.#tasks = visit.follow({ id: "group", filter: { group: [id] }, limit: MOST }, () => soon(() => this.draw()));
    visit.tick(() => this.draw());
    this.#stop.addEventListener("click", () => this.#cancel());
    const tiles = h("section", { className: "tiles", "aria-label": "Numbers" }, [this.#done, this.#failed, this.#running, this.#waiting].map((tile) => tile.el));
    const all = h("a", { href: link("tasks", { q: `group:${id}` }), className: "button" }, "In the list of tasks");
    const head = h("section", { className: "card task-head", "aria-label": "Group" }, h("h2", {}, "Group"), h("p", { className: "id" }, id), h("div", { className: "actions" }, all, this.#stop, this.#answer));
    this.parts = [head, tiles, this.#list.el];
    this.draw();
  }

  draw() {
    const { synced, error } = this.#tasks;
    const found = [...this.#tasks.items.values()].sort(order);
    const n = (...states) => found.filter((task) => states.includes(task.state)).length;
    const ended = found.filter((task) => task.final).length;
    const lost = n("LOST");
    const bad = n("FAILURE", "REJECTED") + lost;
    this.#done.set(found.length ? { value: percent(ended / found.length), unit: `${count(ended)} of ${count(found.length)}`, note: ended === found.length ? "all over" : "goes on", tone: ended === found.length && !bad ? "good" : "" } : { value: null });
    this.#failed.set({ value: synced ? count(bad) : null, note: lost ? `${count(lost)} lost` : "", tone: bad ? "bad" : "" });
    this.#running.set({ value: synced ? count(n("STARTED")) : null });
    this.#waiting.set({ value: synced ? count(n("PENDING", "RECEIVED", "RETRY")) : null });
    this.#stop.hidden = !synced || ended === found.length;
    this.#list.render(found, { known: synced, error, note: this.#tasks.truncated ? `the newest ${count(found.length)}` : many(found.length, "task") });
  }

  async #cancel() {
    if (!this.#sure) {
      this.#sure = true;
      this.#stop.textContent = "Yes, cancel all of them";
      return;
    }
    this.#sure = false;
    this.#stop.textContent = "Cancel all …";
    this.#say("wait", "Asking the workers …");
    const said = await post(`api/v1/groups/${encodeURIComponent(this.#id)}/cancel`).then((answer) => ["good", answer.message ?? "Asked."], (error) => ["bad", error.message]);
    this.#say(...said);
  }

  #say(tone, text) {
    this.#answer.dataset.tone = tone;
    this.#answer.textContent = text;
  }
}

const ranks = Object.keys(STATES);
const rank = (task) => (task.final ? 10 : 0) + ranks.indexOf(task.state);
const order = (a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1);

function cells(task) {
  const percent_ = task.progress?.percent;
  return [
    stateBadge(task.state),
    h("span", { className: "pair" }, h("a", { href: link("task", {}, task.id) }, named(task.name ?? task.id)), Number.isFinite(percent_) && !task.final ? bar(percent_ / 100) : null),
    task.id,
    task.worker ?? "",
    runtime(task),
  ];
}
