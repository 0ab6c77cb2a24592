/** Tasks: the live list behind one filter, as long as there are tasks to show. */

import * as address from "../address.js";
import { h, mark, say, soon } from "../dom.js";
import { toggled } from "../filter.js";
import { count, many } from "../format.js";
import { hands } from "../keys.js";
import { empty, loading } from "../parts/blank.js";
import { FilterBox } from "../parts/filter-box.js";
import { Ledger } from "../parts/ledger.js";
import { List } from "../parts/list.js";
import { StateCounts } from "../parts/state-counts.js";
import { Walk } from "../parts/walk.js";
import * as peek from "../peek.js";

const HEAD = 500; // tasks that are followed from the start
const MOST = 1_500; // kept while the top is in view; older ones are read again
const FIELDS = ["id", "name", "state", "attempt", "queue", "worker", "progress", "runtime", "final",
  "submitted_at", "received_at", "started_at", "updated_at"];

export function show(place, visit) {
  const screen = new Tasks(visit);
  place.append(...screen.parts);
  screen.update(visit.place.words);
  return { update: (words) => screen.update(words), refresh: () => screen.refresh() };
}

class Tasks {
  #visit;
  #ledger = new Ledger();
  #walk = new Walk(this.#ledger, FIELDS);
  #word = h("p", { className: "word", id: "list-word" });
  #blank = h("div", { id: "empty", hidden: true });
  #list = new List(this.#ledger, { label: "Tasks", open: openTask, reach: () => this.#older() });
  #counts = new StateCounts((state) => this.#pick(state));
  #box = new FilterBox({
    id: "filter", label: "Filter tasks", placeholder: "name:reports.* state:FAILURE,RETRY worker:*@host queue:…",
    use: (filter, text) => this.#ask(filter, text),
  });
  #tasks = null; // the collection
  #another = true; // the next snapshot answers another question

  constructor(visit) {
    this.#visit = visit;
    mark(this.#box.input, "aria-keyshortcuts", "/");
    const search = h("div", { className: "filter", role: "search" }, this.#box.input, h("kbd", { "aria-hidden": "true" }, "/"));
    const list = h("section", { className: "card tasks", "aria-label": "Tasks" },
      h("div", { className: "bar" }, search, this.#word), this.#box.wrong, this.#list.el);
    this.#list.el.append(this.#blank);
    this.parts = [this.#counts.el, list];
    visit.onEnd(visit.live.observe((live) => (this.#counts.render(live), this.#words())));
    visit.onEnd(this.#list.live());
    visit.onEnd(hands({ search: this.#box.input, move: (by) => this.#move(by), back: () => this.#list.refocus() || this.#box.input.focus() }));
  }

  update({ q = "" }) {
    this.#box.write(q);
    if (!this.#tasks) this.#wait();
    this.#words();
  }

  refresh() {
    this.#list.refresh();
  }

  #pick(state) {
    const filter = this.#box.filter;
    this.#box.set(state ? toggled(filter, "state", state) : { ...filter, state: [] });
  }

  #ask(filter, text) {
    address.write({ q: text });
    this.#counts.press(filter.state ?? []);
    this.#another = true;
    this.#walk.stop();
    if (this.#tasks) this.#tasks.update({ filter });
    else this.#tasks = this.#visit.follow({ id: "tasks", filter, limit: HEAD, fields: FIELDS }, (_, change) => this.#hear(change));
    soon(this.#draw);
  }

  #hear(change) {
    const { error, wanted } = this.#tasks;
    if (error) this.#box.complain(error.message);
    if (change.reset) this.#restart(wanted.filter);
    else if (change.told && this.#tasks.synced) this.#change(change.told);
    soon(this.#draw);
  }

  #restart(filter) {
    const tasks = this.#tasks.newest();
    if (this.#another || this.#list.atTop) this.#ledger.restart(tasks, this.#tasks.truncated);
    else this.#ledger.doubt(tasks);
    if (this.#another) this.#list.top();
    this.#another = false;
    this.#walk.begin(filter, soon.bind(null, this.#draw));
    if (!this.#list.atTop) this.#walk.confirm();
  }

  #change({ put, del }) {
    this.#ledger.drop(del);
    this.#ledger.put(put);
    if (this.#list.atTop && this.#ledger.size > MOST) {
      this.#ledger.trim(HEAD);
      this.#walk.stop();
    }
  }

  #older() {
    if (this.#ledger.more && this.#tasks?.synced) this.#walk.on();
  }

  #move(by) {
    const id = this.#list.move(by);
    if (id && peek.isOpen()) openTask(id);
  }

  #draw = () => {
    this.#list.refresh();
    this.#words();
  };

  #words() {
    const loading = this.#tasks && !this.#tasks.synced && !this.#tasks.error;
    mark(this.#list.el, "aria-busy", Boolean(loading));
    say(this.#word, loading ? reading(this.#tasks.arriving) : this.#howMany());
    this.#blank.hidden = this.#ledger.size > 0;
    if (this.#blank.hidden) this.#blank.replaceChildren();
    else if (this.#tasks) this.#blank.replaceChildren(nothing(loading, Object.keys(this.#box.filter).length > 0, this.#tasks.error));
  }

  #howMany() {
    const n = this.#ledger.size;
    const all = this.#known();
    if (!this.#ledger.more) return many(n, "task");
    return this.#walk.problem || (all === null || all < n ? `newest ${count(n)}; older ones as you scroll` : `newest ${count(n)} of ${count(all)}`);
  }

  // Counts are by state: a filter by anything else has no number until all is read.
  #known() {
    const { state, ...others } = this.#box.filter;
    if (Object.values(others).some((values) => values.length)) return null;
    return state?.length ? this.#visit.live.count(...state) : this.#visit.live.total;
  }

  #wait() {
    this.#blank.hidden = false;
    this.#blank.replaceChildren(empty("Nothing to show until the filter is mended."));
  }
}

function openTask(id) {
  address.write({ task: id }, !peek.isOpen());
  peek.open(id);
}

const reading = (n) => (n ? `reading … ${count(n)}` : "reading …");

function nothing(busy, filtered, error) {
  if (busy) return loading(8);
  if (error) return empty("Nothing to show until the filter is mended.");
  if (filtered)
    return empty("No task matches", "A task that does will appear here by itself.", h("a", { href: address.link("tasks"), className: "button" }, "Show all tasks"));
  return empty("No task yet",
    h("span", {}, "The first one will appear here by itself. Workers tell of their tasks when events are on: ", h("code", {}, "celery -A proj worker -E"), "."),
    h("span", {}, "If some should be here already, ", h("code", {}, "herald doctor"), " tells what is missing."));
}
