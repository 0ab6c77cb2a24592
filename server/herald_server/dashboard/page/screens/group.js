/** One group as one thing: how far it has come, and each of its tasks. */

import { link } from "../address.js";
import { h, say, soon } from "../dom.js";
import { atLeast, count, many, portion, runtime } from "../format.js";
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
const AGAIN_S = 2; // how often the numbers are asked for at most
const OVER = ["SUCCESS", "FAILURE", "REVOKED", "REJECTED", "LOST"];

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
  #list = new Listing("Tasks", new Table("Tasks of the group", COLUMNS, { key: (task) => task.id, cells }), () => empty("No task of this group is known", "Its tasks appear here when they are heard of."), { className: "whole" });
  #means = h("p", { className: "fine", hidden: true });
  #sure = false;
  #asked = null;
  #told = null; // the group as it was told last
  #error = null;

  constructor(id, visit) {
    this.#id = id;
    this.#tasks = visit.follow({ id: "group", filter: { group: [id] }, limit: MOST }, (_, change) => this.#hear(change));
    this.#asked = visit.ask(`api/v1/groups/${encodeURIComponent(id)}?tasks=0`, (answer) => this.#take(answer), 5);
    visit.tick(() => this.draw());
    this.#stop.addEventListener("click", () => this.#cancel());
    const tiles = h("section", { className: "tiles", "aria-label": "Numbers" }, [this.#done, this.#failed, this.#running, this.#waiting].map((tile) => tile.el));
    const all = h("a", { href: link("tasks", { q: `group:${id}` }), className: "button" }, "In the list of tasks");
    const head = h("section", { className: "card task-head", "aria-label": "Group" }, h("h2", {}, "Group"), h("p", { className: "id" }, id), this.#means, h("div", { className: "actions" }, all, this.#stop, this.#answer));
    this.parts = [head, tiles, this.#list.el];
    this.draw();
  }

  // Hundreds of rows are drawn once a second, by the tick; a snapshot at once.
  #hear({ reset }) {
    this.#asked?.again(AGAIN_S);
    if (reset) soon(() => this.draw());
  }

  // Numbers are those that every door tells: the list holds only the newest members.
  #take({ value, error }) {
    if (value) this.#told = value;
    else if (error.status !== 404) this.#error = error;
    this.draw();
  }

  draw() {
    const { synced, error } = this.#tasks;
    const found = [...this.#tasks.items.values()].sort(order);
    const known = this.#told;
    if (known) this.#numbers(known);
    say(this.#means, known && !known.whole ? known.message : "");
    this.#means.hidden = !this.#means.textContent;
    this.#stop.hidden = !synced || !found.length || (known?.done ?? false);
    const note = found.length < (known?.total ?? 0) || this.#tasks.truncated ? `${count(found.length)} of ${atLeast(Math.max(known?.total ?? 0, found.length), known?.whole)}` : many(found.length, "task");
    this.#list.render(found, { known: synced, error: error ?? this.#error, note });
  }

  #numbers({ total, finished, whole, done, counts }) {
    const n = (...states) => states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    const bad = n("FAILURE", "REJECTED", "LOST");
    const rest = whole ? total - finished - n("STARTED") : n("PENDING", "RECEIVED", "RETRY");
    // Of members that are not heard of yet nobody knows whether they run.
    const sure = whole && n(...Object.keys(counts)) >= total;
    this.#done.set({
      value: whole ? portion(finished, total) : count(finished),
      unit: whole ? `${count(finished)} of ${count(total)}` : `of ${atLeast(total, whole)}`,
      note: done ? "all have ended" : whole ? "in progress" : "size not known",
      tone: done && !bad ? "good" : "",
    });
    this.#failed.set({ value: count(bad), note: n("LOST") ? `${count(n("LOST"))} lost` : "", tone: bad ? "bad" : "" });
    const known = (number, exact) => (exact || number ? { value: atLeast(number, exact) } : { value: null, note: "not known" });
    this.#running.set(known(n("STARTED"), sure));
    this.#waiting.set({ ...known(Math.max(0, rest), whole), ...(whole && !sure ? { note: "some of them may run" } : {}) });
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
