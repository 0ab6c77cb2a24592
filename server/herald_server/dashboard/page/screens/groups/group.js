/** The page of one group: its progress and its tasks. */

import { linkTo } from "../../base/address.js";
import { h, schedule, setText } from "../../base/dom.js";
import { formatAtLeast, formatCount, formatPortion, formatRuntime, pluralize } from "../../base/format.js";
import { post } from "../../base/http.js";
import { STATES } from "../../base/states.js";
import { stateBadge } from "../../parts/common/badge.js";
import { bar } from "../../parts/common/bar.js";
import { emptyState } from "../../parts/common/placeholders.js";
import { StatTile } from "../../parts/common/stat-tile.js";
import { TableCard } from "../../parts/common/table-card.js";
import { taskName } from "../../parts/common/task-name.js";

const MAX_MEMBERS = 500; // shown members; the list of tasks has all of them
const REFRESH_S = 2; // least time between two reads of the numbers

const COLUMNS = [
  { label: "State", name: "n9" },
  { label: "Task" },
  { label: "Id", hide: true },
  { label: "Worker", name: "n16", hide: true },
  { label: "For", num: true, name: "n8" },
];

export function show(place, context) {
  const screen = new Group(context.place.arg, context);
  place.append(...screen.parts);
  return { refresh: () => screen.draw() };
}

class Group {
  #id;
  #tasks;
  #done = new StatTile("Finished");
  #failed = new StatTile("Failed");
  #running = new StatTile("Running");
  #waiting = new StatTile("Waiting");
  #answer = h("p", { className: "answer", role: "status" });
  #stop = h("button", { type: "button", className: "danger" }, "Cancel all …");
  #list = new TableCard("Tasks", COLUMNS, { key: (task) => task.id, cells }, () => emptyState("No task of this group is known", "Its tasks appear here when their events arrive."), { className: "whole" });
  #note = h("p", { className: "fine", hidden: true });
  #confirming = false;
  #request = null;
  #status = null; // the last answer about the group
  #error = null;

  constructor(id, context) {
    this.#id = id;
    this.#tasks = context.subscribe({ id: "group", filter: { group: [id] }, limit: MAX_MEMBERS }, (_, change) => this.#onChange(change));
    this.#request = context.poll(`api/v1/groups/${encodeURIComponent(id)}?tasks=0`, (answer) => this.#onAnswer(answer), 5);
    context.everySecond(() => this.draw());
    this.#stop.addEventListener("click", () => this.#cancel());
    const tiles = h("section", { className: "tiles", "aria-label": "Statistics" }, [this.#done, this.#failed, this.#running, this.#waiting].map((tile) => tile.el));
    const all = h("a", { href: linkTo("tasks", { q: `group:${id}` }), className: "button" }, "Show in the list of tasks");
    const head = h("section", { className: "card task-head", "aria-label": "Group" }, h("h2", {}, "Group"), h("p", { className: "id" }, id), this.#note, h("div", { className: "actions" }, all, this.#stop, this.#answer));
    this.parts = [head, tiles, this.#list.el];
    this.draw();
  }

  // Hundreds of rows are drawn once a second; a snapshot is drawn at once.
  #onChange({ reset }) {
    this.#request?.refresh(REFRESH_S);
    if (reset) schedule(() => this.draw());
  }

  // The numbers come from the REST API: the subscription holds only the newest members.
  #onAnswer({ value, error }) {
    if (value) this.#status = value;
    else if (error.status !== 404) this.#error = error;
    this.draw();
  }

  draw() {
    const { synced, error } = this.#tasks;
    const found = [...this.#tasks.items.values()].sort(compare);
    const known = this.#status;
    if (known) this.#renderTiles(known);
    setText(this.#note, known && !known.whole ? known.message : "");
    this.#note.hidden = !this.#note.textContent;
    this.#stop.hidden = !synced || !found.length || (known?.done ?? false);
    const note = found.length < (known?.total ?? 0) || this.#tasks.truncated ? `${formatCount(found.length)} of ${formatAtLeast(Math.max(known?.total ?? 0, found.length), known?.whole)}` : pluralize(found.length, "task");
    this.#list.render(found, { known: synced, error: error ?? this.#error, note });
  }

  #renderTiles({ total, finished, whole, done, counts }) {
    const n = (...states) => states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    const bad = n("FAILURE", "REJECTED", "LOST");
    const rest = whole ? total - finished - n("STARTED") : n("PENDING", "RECEIVED", "RETRY");
    // It is not known whether members without an event run.
    const isExact = whole && n(...Object.keys(counts)) >= total;
    this.#done.set({
      value: whole ? formatPortion(finished, total) : formatCount(finished),
      unit: whole ? `${formatCount(finished)} of ${formatCount(total)}` : `of ${formatAtLeast(total, whole)}`,
      note: done ? "all ended" : whole ? "in progress" : "size not known",
      tone: done && !bad ? "good" : "",
    });
    this.#failed.set({ value: formatCount(bad), note: n("LOST") ? `${formatCount(n("LOST"))} lost` : "", tone: bad ? "bad" : "" });
    const known = (number, exact) => (exact || number ? { value: formatAtLeast(number, exact) } : { value: null, note: "not known" });
    this.#running.set(known(n("STARTED"), isExact));
    this.#waiting.set({ ...known(Math.max(0, rest), whole), ...(whole && !isExact ? { note: "some may be running" } : {}) });
  }

  async #cancel() {
    if (!this.#confirming) {
      this.#confirming = true;
      this.#stop.textContent = "Yes, cancel all";
      return;
    }
    this.#confirming = false;
    this.#stop.textContent = "Cancel all …";
    this.#showAnswer("wait", "Asking the workers …");
    const answer = await post(`api/v1/groups/${encodeURIComponent(this.#id)}/cancel`).then(({ message }) => ["good", message ?? "Cancellation requested."], (error) => ["bad", error.message]);
    this.#showAnswer(...answer);
  }

  #showAnswer(tone, text) {
    this.#answer.dataset.tone = tone;
    this.#answer.textContent = text;
  }
}

const ranks = Object.keys(STATES);
const getRank = (task) => (task.final ? 10 : 0) + ranks.indexOf(task.state);
const compare = (a, b) => getRank(a) - getRank(b) || (a.id < b.id ? -1 : 1);

function cells(task) {
  const percent = task.progress?.percent;
  return [
    stateBadge(task.state),
    h("span", { className: "pair" }, h("a", { href: linkTo("task", {}, task.id) }, taskName(task.name ?? task.id)), Number.isFinite(percent) && !task.final ? bar(percent / 100) : null),
    task.id,
    task.worker ?? "",
    formatRuntime(task),
  ];
}
