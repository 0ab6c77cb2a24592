/** The live feed of state changes, the newest on top; it holds still under the pointer. */

import { linkWith } from "../../base/address.js";
import { h, schedule, setAttr, setText } from "../../base/dom.js";
import { formatCount, formatTime } from "../../base/format.js";
import { stateBadge } from "../common/badge.js";
import { card } from "../common/card.js";
import { FilterBox } from "../common/filter-box.js";
import { emptyState } from "../common/placeholders.js";
import { taskName } from "../common/task-name.js";

const MAX_LINES = 40;
const FIELDS = ["id", "name", "state", "attempt", "worker", "received_at", "submitted_at", "started_at", "updated_at"];
const MAX_STATES = 5_000;
const RATE_WINDOW_MS = 5_000; // over which changes a second are counted

export class Feed {
  #context;
  #tasks = null;
  #pending = []; // received but not shown yet, oldest first
  #heldCount = 0;
  #paused = false;
  #times = []; // [ms, how many] of the last frames
  #states = new Map(); // id → the last shown state and attempt
  #lines = h("ol", { className: "feed" });
  #placeholder = h("div");
  #pause = h("button", { type: "button", className: "small", "aria-pressed": "false" }, "Pause");
  #box = new FilterBox({ id: "feed-filter", label: "Filter the feed", placeholder: "state:FAILURE", className: "field", onFilter: (filter) => this.#applyFilter(filter) });
  #card = card("Live feed", { tools: [this.#box.input, this.#pause] });
  el = this.#card.el;

  constructor(context) {
    this.#context = context;
    this.#pause.addEventListener("click", () => this.#togglePause());
    this.#card.body.append(this.#lines, this.#placeholder);
    this.#box.setText("");
  }

  draw() {
    const now = performance.now();
    while (this.#times.length && this.#times[0][0] < now - RATE_WINDOW_MS) this.#times.shift();
    const perSecond = this.#times.reduce((sum, [, n]) => sum + n, 0) / (RATE_WINDOW_MS / 1_000);
    const held = this.#heldCount ? `${formatCount(this.#heldCount)} held · ` : "";
    setText(this.#card.note, `${held}${perSecond >= 10 || perSecond === 0 ? Math.round(perSecond) : perSecond.toFixed(1)} /s`);
    if (!this.#isHeld()) this.#showPending();
  }

  /** Render the times again, as after a change of the time zone. */
  refresh() {
    for (const time of this.#lines.querySelectorAll("time")) setText(time, formatTime(time.dateTime));
  }

  #applyFilter(filter) {
    this.#pending = [];
    this.#heldCount = 0;
    if (this.#tasks) this.#tasks.update({ filter });
    else this.#tasks = this.#context.subscribe({ id: "feed", filter, limit: MAX_LINES, fields: FIELDS }, (tasks, change) => this.#onChange(tasks, change));
  }

  #onChange(tasks, change) {
    if (tasks.error) this.#box.showError(tasks.error.message);
    if (change.reset) this.#restart(tasks.newest().slice(0, MAX_LINES).reverse());
    else if (change.told && tasks.synced) this.#addChanges(change.told.put);
    schedule(this.#render);
  }

  #render = () => this.draw();

  #restart(tasks) {
    this.#lines.replaceChildren();
    this.#pending = tasks;
    this.#heldCount = 0;
    this.#showPending();
  }

  #addChanges(tasks) {
    this.#times.push([performance.now(), tasks.length]);
    const changed = tasks.filter((task) => this.#isNewState(task));
    this.#heldCount += changed.length;
    this.#pending = [...this.#pending, ...changed].slice(-MAX_LINES);
  }

  // Progress reports are pushed too; a line for each would hide the rest.
  #isNewState({ id, state, attempt }) {
    const present = `${state} ${attempt ?? 1}`;
    if (this.#states.get(id) === present) return false;
    if (this.#states.size > MAX_STATES) this.#states.clear();
    this.#states.set(id, present);
    return true;
  }

  #showPending() {
    this.#lines.prepend(...this.#pending.splice(0).reverse().map(renderLine));
    this.#heldCount = 0;
    while (this.#lines.children.length > MAX_LINES) this.#lines.lastElementChild.remove();
    this.#placeholder.hidden = this.#lines.children.length > 0;
    if (!this.#placeholder.hidden && !this.#placeholder.firstChild) this.#placeholder.append(emptyState("No changes yet", "The next change appears here automatically."));
  }

  // A line that moves under the pointer cannot be clicked.
  #isHeld() {
    return this.#paused || this.#lines.matches(":hover") || this.#lines.contains(document.activeElement);
  }

  #togglePause() {
    this.#paused = !this.#paused;
    setAttr(this.#pause, "aria-pressed", this.#paused);
    setText(this.#pause, this.#paused ? "Resume" : "Pause");
    this.draw();
  }
}

function renderLine(task) {
  return h("li", {}, h("time", { dateTime: task.updated_at, title: task.updated_at }, formatTime(task.updated_at)), stateBadge(task.state),
    h("a", { href: linkWith({ task: task.id }) }, taskName(task.name)), h("span", { className: "soft" }, task.worker ?? ""));
}
