/** Tasks: the list of the tasks that match a query; live, as far as a subscription understands it. */

import * as address from "../../base/address.js";
import { h, schedule, setAttr, setText } from "../../base/dom.js";
import { getSort, matches, splitWords, toFilter, toggleState, withSort } from "../../base/query.js";
import { showView } from "../../base/view/hooks.js";
import { html, render } from "../../base/view/preact.js";
import { List } from "../../parts/list/list.js";
import { getFields, parseColumns, pickFields } from "../../parts/list/columns.js";
import { PageReader } from "../../parts/list/page-reader.js";
import { StateCounts } from "../../parts/list/state-counts.js";
import { TaskWindow } from "../../parts/list/task-window.js";
import { QueryBar } from "../../parts/query/query-bar.js";
import { setHandlers } from "../../parts/shell/keyboard.js";
import * as sidePanel from "../../parts/shell/side-panel.js";
import { createActions, createOrdersForAll, downloadMatching } from "./actions.js";
import { GROUPS, GroupsView, MAX_GROUPED } from "./groups-view.js";
import { chooseSeries, Histogram } from "./histogram.js";
import { Known } from "./known.js";
import { createPlaceholder, describeFound } from "./summary.js";
import { SelectionBar, Toolbar } from "./toolbar.js";

const HEAD_SIZE = 500; // newest tasks of the subscription
const MIN_HEAD_SIZE = 10; // of a subscription whose snapshot is not shown
const MAX_COUNTED = 10_000; // new tasks that are counted while the list is held
const MAX_HEAD_SIZE = 1_500; // kept at the top of the list; older ones are read again

export function show(place, context) {
  const screen = new Tasks(context);
  place.append(...screen.parts);
  screen.update(context.place.params);
  return { update: (params) => screen.update(params), refresh: () => screen.refresh() };
}

class Tasks {
  #context;
  #window = new TaskWindow();
  #reader = new PageReader(this.#window);
  #known;
  #bar = h("div", { className: "bar" });
  #selection = h("div");
  #groups = h("div", { className: "groups", hidden: true });
  #summary = h("p", { className: "card-note", id: "list-summary", role: "status" });
  #placeholder = h("div", { id: "empty", hidden: true });
  #list = new List(this.#window, { label: "Tasks", open: openTask, onEndNear: () => this.#readOlder(), onTicked: () => this.#renderTools(), onSort: (word) => this.#setText(withSort(this.#words, word)) });
  #counts = new StateCounts((state) => this.#setText(toggleState(this.#words, state)));
  #input = { current: null };
  #tasks = null; // the collection
  #text = null; // the query in use
  #words = [];
  #columns = [];
  #group = ""; // a key of GROUPS: these are shown instead of the list
  #held = null; // while the list is held: the ids of new tasks
  #histogram; // what draws the times
  #isWhole = true; // whether the subscription alone decides
  #isAll = false; // the actions are for all that match
  #unseen = 0; // changes that may concern the list, of which the page cannot tell
  #download = ""; // how far it is
  #shown = ""; // what the tools show
  #filterChanged = true; // the next snapshot is for another query

  constructor(context) {
    this.#context = context;
    this.#known = new Known(context);
    const times = h("div", { className: "view" });
    const list = h("section", { className: "card tasks", "aria-label": "Tasks" }, this.#bar, this.#selection, times, this.#summary, this.#groups, this.#list.el);
    this.#histogram = showView(times, context, () => html`<${Histogram} chosen=${chooseSeries(toFilter(this.#words))} entries=${this.#window.entries} />`);
    this.#list.el.append(this.#placeholder);
    this.parts = [this.#counts.el, list];
    this.#renderTools();
    context.everySecond(() => this.#histogram.refresh());
    context.onEnd(() => [this.#bar, this.#selection, this.#groups].forEach((each) => render(null, each)));
    context.onEnd(context.live.observe((live) => (this.#counts.render(live), this.#renderSummary())));
    context.onEnd(this.#list.observeSize());
    context.onEnd(setHandlers({ searchBox: this.#input.current, move: (by) => this.#move(by), tick: () => this.#list.toggleCurrent(), hold: () => this.#toggleHold(), restoreFocus: () => this.#list.restoreFocus() || this.#input.current.focus() }));
  }

  update({ q = "", cols = "", group = "" }) {
    const columns = parseColumns(cols);
    const sort = getSort(splitWords(q));
    const by = group in GROUPS ? group : "";
    const changed = columns.join() !== this.#columns.join() || by !== this.#group;
    [this.#columns, this.#group] = [columns, by];
    if (q !== this.#text || changed) this.#start(q);
    if (changed || sort !== this.sort) this.#list.setColumns(columns, (this.sort = sort));
    this.#renderTools();
    this.#renderSummary();
  }

  refresh() {
    this.#list.setColumns(this.#columns, this.sort);
    this.#render();
  }

  #setText(text) {
    address.updateAddress({ q: text });
    this.update(address.readAddress().params);
  }

  #start(text) {
    [this.#text, this.#words] = [text, splitWords(text)];
    const { filter, isWhole } = toFilter(this.#words);
    this.#isWhole = isWhole && !this.#context.range.isFixed;
    this.#counts.setPressed(filter.state ?? []);
    this.#list.ticks.clear();
    [this.#filterChanged, this.#isAll, this.#unseen, this.#held] = [true, false, 0, null];
    const fields = this.#fields;
    this.#reader.start({ ...(isWhole ? filter : { q: text }), ...this.#context.range.query }, fields, () => schedule(this.#render));
    const wanted = { filter, limit: this.#isWhole ? HEAD_SIZE : MIN_HEAD_SIZE, fields: [...new Set([...fields, "args", "kwargs", "exception"])] };
    if (this.#tasks) this.#tasks.update(wanted);
    else this.#tasks = this.#context.subscribe({ id: "tasks", ...wanted }, (_, change) => this.#onChange(change));
    if (!this.#isWhole) this.#search();
    schedule(this.#render);
  }

  // The server looks for them; old rows stay until it has answered.
  async #search() {
    const before = this.#text;
    this.#window.beginSearch(Boolean(getSort(this.#words)));
    await this.#reader.readMore();
    this.#filterChanged = false;
    if (before === this.#text) schedule(this.#render);
  }

  get #fields() {
    return getFields(this.#group === "error" ? [...this.#columns, "exception"] : this.#columns);
  }

  /** Let no row come or go, or show what has come since. */
  #toggleHold() {
    this.#held = this.#held ? null : new Set();
    if (!this.#held && this.#isWhole) {
      this.#filterChanged = true;
      this.#onSnapshot();
    } else if (!this.#held) this.#search().then(() => this.#list.scrollToTop());
    this.#render();
  }

  #countNew(put) {
    const fresh = put.filter((task) => !this.#window.has(task.id) && this.#isInRange(task) && (this.#isWhole || matches(this.#words, task)));
    for (const { id } of fresh) if (this.#held.size < MAX_COUNTED) this.#held.add(id);
    this.#window.put(put.filter((task) => this.#window.has(task.id)).map(this.#pick));
  }

  #onChange(change) {
    if (this.#held) this.#countNew(change.told?.put ?? []);
    else if (change.reset && this.#isWhole) this.#onSnapshot();
    else if (change.told && this.#tasks.synced) this.#onChanges(change.told);
    schedule(this.#render);
  }

  #onSnapshot() {
    const tasks = this.#tasks.newest().filter(this.#isInRange).map(this.#pick);
    if (this.#filterChanged || this.#list.atTop) this.#window.restart(tasks, this.#tasks.truncated);
    else this.#window.mergeSnapshot(tasks);
    if (this.#filterChanged) this.#list.scrollToTop();
    this.#filterChanged = false;
    this.#reader.reset();
    if (!this.#list.atTop) this.#reader.revalidate();
  }

  #onChanges({ put, del }) {
    this.#window.drop(del);
    if (!this.#isWhole) return this.#window.put(put.filter(this.#belongs).map(this.#pick));
    this.#window.put(put.filter(this.#isInRange).map(this.#pick));
    if (this.#list.atTop && !this.#group && this.#window.size > MAX_HEAD_SIZE) {
      this.#window.trim(HEAD_SIZE);
      this.#reader.reset();
    }
  }

  // A row that is shown is kept current; whether another belongs, the page knows of texts only.
  #belongs = (task) => {
    if (this.#window.has(task.id)) return true;
    if (!this.#isInRange(task)) return false;
    const found = this.sort ? null : matches(this.#words, task);
    if (found === null) this.#unseen += 1;
    return found === true;
  };

  #isInRange = (task) => this.#context.range.contains(Date.parse(task.received_at ?? task.submitted_at ?? task.started_at ?? task.updated_at) || 0);
  #pick = (task) => pickFields(task, this.#fields);

  #readOlder() {
    if (this.#window.more && this.#tasks && (!this.#isWhole || this.#tasks.synced)) this.#reader.readMore();
  }

  #move(by) {
    const id = !this.#group && this.#list.move(by);
    if (id && sidePanel.isOpen()) openTask(id);
  }

  #render = () => {
    this.#list.refresh();
    this.#renderGroups();
    this.#renderTools();
    this.#renderSummary();
  };

  // As many as can be grouped are read.
  #renderGroups() {
    [this.#list.el.hidden, this.#groups.hidden] = [Boolean(this.#group), !this.#group];
    render(this.#group && html`<${GroupsView} entries=${this.#window.entries} by=${this.#group} more=${this.#window.more} params=${getKept()} />`, this.#groups);
    if (this.#group && this.#window.size < MAX_GROUPED) this.#readOlder();
  }

  get #problem() {
    const error = this.#reader.error ?? this.#tasks?.error;
    return !error || error.status === 0 ? null : { message: error.message, suggestion: error.body?.suggestion, position: error.body?.position };
  }

  // Frames come ten times a second; the tools change seldom.
  #renderTools() {
    const { params } = address.readAddress();
    const shown = JSON.stringify([params, this.#text, this.#problem, this.#columns, this.#download, this.#list.ticks.ids.length, this.#isAll, this.#list.ticks.size && this.#describeTotal(), this.#held?.size ?? null]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    render(html`<${QueryBar} id="filter" label="Search tasks" text=${this.#text ?? ""} known=${this.#known} problem=${this.#problem} onText=${(text) => this.#setText(text)} inputRef=${this.#input} />
      <${Toolbar} held=${this.#held?.size ?? null} onHold=${() => this.#toggleHold()} group=${this.#group} onGroup=${(group) => (address.updateAddress({ group }), this.update(address.readAddress().params))} columns=${this.#columns} onColumns=${(keys) => (address.updateAddress({ cols: keys.join(",") }), this.update(address.readAddress().params))} params=${getKept()}
        download=${this.#download} changes=${address.linkTo("changes")} orders=${createOrdersForAll({ text: this.#text, words: this.#words, range: this.#context.range })} onDownload=${(format) => downloadMatching(format, { text: this.#text, range: this.#context.range, columns: this.#columns }, (text) => ((this.#download = text), this.#renderTools()))} />`, this.#bar);
    const { ticks } = this.#list;
    render(html`<${SelectionBar} count=${ticks.size} total=${this.#describeTotal()} isAll=${this.#isAll} onAll=${(all) => ((this.#isAll = all), this.#renderTools())} onClear=${() => ticks.clear()}
      actions=${createActions({ ids: () => ticks.ids, query: () => this.#text, range: this.#context.range })} />`, this.#selection);
  }

  #renderSummary() {
    const isLoading = this.#isWhole ? this.#tasks && !this.#tasks.synced && !this.#tasks.error : this.#reader.busy && this.#window.isWaiting;
    setAttr(this.#list.el, "aria-busy", Boolean(isLoading));
    setAttr(this.#list.el, "data-stale", this.#problem ? "" : null);
    setText(this.#summary, describeFound({ window: this.#window, reader: this.#reader, isLoading, arriving: this.#tasks?.arriving ?? 0, total: this.#countMatching(), unseen: this.#unseen, held: this.#held?.size ?? null, sort: this.sort, problem: this.#problem }));
    this.#placeholder.hidden = this.#window.size > 0;
    if (this.#placeholder.hidden) this.#placeholder.replaceChildren();
    else if (this.#tasks) this.#placeholder.replaceChildren(createPlaceholder(isLoading || this.#reader.busy, this.#words.length > 0 || !this.#context.range.isLive, this.#problem));
  }

  #describeTotal() {
    return String((this.#window.more ? this.#countMatching() : this.#window.size) ?? `${this.#window.size}+`);
  }

  // Counts are known by state only: other queries have no total until all is read.
  #countMatching() {
    const { state, ...others } = toFilter(this.#words).filter;
    if (!this.#isWhole || !this.#context.range.isLive || Object.keys(others).length) return null;
    return state?.length ? this.#context.live.count(...state) : this.#context.live.total;
  }
}

const getKept = ({ q, cols, at, group } = address.readAddress().params) => ({ q, cols, at, group });

function openTask(id) {
  address.updateAddress({ task: id }, !sidePanel.isOpen());
  sidePanel.open(id);
}
