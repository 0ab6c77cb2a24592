/** What happens, as it is told: the newest on top, still while one reads. */

import { here } from "../../address.js";
import { h, mark, say, soon } from "../../dom.js";
import { clock, count } from "../../format.js";
import { stateBadge } from "../../parts/badge.js";
import { empty } from "../../parts/blank.js";
import { card } from "../../parts/card.js";
import { FilterBox } from "../../parts/filter-box.js";
import { named } from "../../parts/name.js";

const KEPT = 40;
const FIELDS = ["id", "name", "state", "attempt", "worker", "received_at", "submitted_at", "started_at", "updated_at"];
const MOST_STATES = 5_000;
const SPAN_MS = 5_000; // over which changes a second are counted

export class Feed {
  #visit;
  #tasks = null;
  #waiting = []; // told and not shown yet, oldest first
  #unshown = 0;
  #paused = false;
  #times = []; // [ms, how many] of the last frames
  #states = new Map(); // id → what was shown of it last
  #lines = h("ol", { className: "feed" });
  #blank = h("div");
  #pause = h("button", { type: "button", className: "small", "aria-pressed": "false" }, "Pause");
  #box = new FilterBox({ id: "feed-filter", label: "Filter the feed", placeholder: "state:FAILURE", className: "field", use: (filter) => this.#ask(filter) });
  #card = card("Live feed", { tools: [this.#box.input, this.#pause] });
  el = this.#card.el;

  constructor(visit) {
    this.#visit = visit;
    this.#pause.addEventListener("click", () => this.#toggle());
    this.#card.body.append(this.#lines, this.#blank);
    this.#box.write("");
  }

  draw() {
    const now = performance.now();
    while (this.#times.length && this.#times[0][0] < now - SPAN_MS) this.#times.shift();
    const n = this.#times.reduce((sum, [, many]) => sum + many, 0) / (SPAN_MS / 1_000);
    const held = this.#unshown ? `${count(this.#unshown)} held · ` : "";
    say(this.#card.note, `${held}${n >= 10 || n === 0 ? Math.round(n) : n.toFixed(1)} /s`);
    if (!this.#still()) this.#flow();
  }

  /** Write times anew, as when they changed their zone. */
  refresh() {
    for (const time of this.#lines.querySelectorAll("time")) say(time, clock(time.dateTime));
  }

  #ask(filter) {
    this.#waiting = [];
    this.#unshown = 0;
    if (this.#tasks) this.#tasks.update({ filter });
    else this.#tasks = this.#visit.follow({ id: "feed", filter, limit: KEPT, fields: FIELDS }, (tasks, change) => this.#hear(tasks, change));
  }

  #hear(tasks, change) {
    if (tasks.error) this.#box.complain(tasks.error.message);
    if (change.reset) this.#restart(tasks.newest().slice(0, KEPT).reverse());
    else if (change.told && tasks.synced) this.#take(change.told.put);
    soon(this.#paint);
  }

  #paint = () => this.draw();

  #restart(tasks) {
    this.#lines.replaceChildren();
    this.#waiting = tasks;
    this.#unshown = 0;
    this.#flow();
  }

  #take(tasks) {
    this.#times.push([performance.now(), tasks.length]);
    const moved = tasks.filter((task) => this.#moved(task));
    this.#unshown += moved.length;
    this.#waiting = [...this.#waiting, ...moved].slice(-KEPT);
  }

  // Progress and the like are told as well; a line each would bury the rest.
  #moved({ id, state, attempt }) {
    const now = `${state} ${attempt ?? 1}`;
    if (this.#states.get(id) === now) return false;
    if (this.#states.size > MOST_STATES) this.#states.clear();
    this.#states.set(id, now);
    return true;
  }

  #flow() {
    this.#lines.prepend(...this.#waiting.splice(0).reverse().map(line));
    this.#unshown = 0;
    while (this.#lines.children.length > KEPT) this.#lines.lastElementChild.remove();
    this.#blank.hidden = this.#lines.children.length > 0;
    if (!this.#blank.hidden && !this.#blank.firstChild) this.#blank.append(empty("Quiet", "The next change will appear here by itself."));
  }

  // A line that moves away under a pointer cannot be clicked.
  #still() {
    return this.#paused || this.#lines.matches(":hover") || this.#lines.contains(document.activeElement);
  }

  #toggle() {
    this.#paused = !this.#paused;
    mark(this.#pause, "aria-pressed", this.#paused);
    say(this.#pause, this.#paused ? "Go on" : "Pause");
    this.draw();
  }
}

function line(task) {
  return h("li", {}, h("time", { dateTime: task.updated_at, title: task.updated_at }, clock(task.updated_at)), stateBadge(task.state),
    h("a", { href: here({ task: task.id }) }, named(task.name)), h("span", { className: "dim" }, task.worker ?? ""));
}
