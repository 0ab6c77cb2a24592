/** A virtual table: only rows in view exist, and no row moves while it is read. */

import { h, runEverySecond, schedule, setAttr, setText } from "../../base/dom.js";
import { formatCount } from "../../base/format.js";
import { COLUMNS } from "./columns.js";
import { Row } from "./row.js";
import { Ticks } from "./ticks.js";

const MARGIN = 6; // rows rendered beyond both edges
const MAX_HIGHLIGHTED = 8; // more new rows than this at once are not highlighted
const MAX_SHOWN_NEWER = 999;
const TOUCH_MS = 3_000; // how long rows stay after a touch: a phone has no pointer that hovers
const TOP_PX = 8; // so near the top counts as there
const MAX_ANCHORS = 8; // rows that hold the position: the first ones may be deleted

const createPadding = () => h("tbody", { className: "pad", "aria-hidden": "true" }, h("tr", {}, h("td")));

export class List {
  #source;
  #rows = new Map(); // id → Row, those in view
  #pool = [];
  #current = null; // the id of the selected row
  #top = 0; // the index of the first visible entry
  #anchors = []; // [id, index] of the first visible rows at the last rendering
  #newerCount = 0;
  #isAtTop = true; // at the last rendering
  #slack = 0; // empty pixels below the last row, while a short list holds still
  #height = 32;
  #painting = 0;
  #pads = [createPadding(), createPadding()];
  #body = h("tbody", { id: "rows" });
  #table;
  #columns = [];
  #head = h("tr", { role: "row" });
  #touchedAt = -TOUCH_MS;
  /** The rows that are ticked. */ ticks;
  #newer = h("button", { type: "button", className: "newer", id: "newer", hidden: true });
  #onEndNear;

  /**
   * @param {import("./task-window.js").TaskWindow} source
   * @param {{label: string, open: (id: string) => void, onEndNear: () => void, onTicked?: () => void, onSort?: (word: string) => void}} options
   *   `onEndNear` runs near the end of the loaded part, `onTicked` after ticks changed.
   */
  constructor(source, { label: listLabel, open, onEndNear, onTicked = () => {}, onSort = () => {} }) {
    [this.#source, this.#onEndNear, this.#onSort] = [source, onEndNear, onSort];
    this.ticks = new Ticks(source, () => (this.#renderVisible(), onTicked()));
    this.#table = h("table", { className: "list", role: "table", "aria-label": listLabel }, h("thead", { role: "rowgroup" }, this.#head), this.#pads[0], this.#body, this.#pads[1]);
    setAttr(this.#body, "role", "rowgroup");
    this.el = h("div", { className: "scroller", id: "scroller", tabIndex: -1 }, this.#newer, this.#table);
    this.#body.addEventListener("click", (event) => this.#click(event, open));
    this.#newer.addEventListener("click", () => this.el.scrollTo({ top: 0, behavior: prefersReducedMotion() ? "auto" : "smooth" }));
    this.el.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    for (const type of ["touchstart", "touchmove", "touchend"]) this.el.addEventListener(type, () => (this.#touchedAt = performance.now()), { passive: true });
  }
  #onSort;

  /** Show these columns of `COLUMNS`; `sort` is the word of the present order. */
  setColumns(keys, sort = "") {
    this.#columns = keys;
    for (const pad of this.#pads) pad.firstElementChild.firstElementChild.colSpan = keys.length + 1;
    this.#head.replaceChildren(h("th", { scope: "col", role: "columnheader", className: "c-check" }, this.ticks.box), ...keys.map((key) => this.#createHead(COLUMNS[key], sort)));
    for (const [id, row] of this.#rows) this.#releaseRow(id, row);
    this.#pool = [];
    this.#renderVisible();
  }

  #createHead({ label, name, num, title, sort: word }, sort) {
    const th = h("th", { scope: "col", role: "columnheader", className: num ? `${name} num` : name, title });
    if (!word) return th.append(label), th;
    const [descending, ascending] = [sort === `-${word}`, sort === word];
    const button = h("button", { type: "button", className: "sort", title: `Sort by ${label.toLowerCase()}` }, label, h("span", { "aria-hidden": "true" }, descending ? " ▾" : ascending ? " ▴" : ""));
    button.addEventListener("click", () => this.#onSort(descending ? word : ascending ? "" : `-${word}`));
    setAttr(th, "aria-sort", descending ? "descending" : ascending ? "ascending" : null);
    th.append(button);
    return th;
  }

  /** Tick the selected row, or remove its tick. */
  toggleCurrent() {
    if (this.#current) this.ticks.toggle(this.#current);
  }

  /** Keep sizes and ages current until the returned function is called. */
  observeSize() {
    const sized = new ResizeObserver(() => schedule(this.refresh));
    sized.observe(this.el);
    const stop = runEverySecond(() => this.#rows.forEach((row) => row.tick()));
    return () => (sized.disconnect(), stop());
  }

  /** Scroll to the top, as for another filter. */
  scrollToTop() {
    this.#anchors = [];
    this.#newerCount = 0;
    this.el.scrollTop = 0;
  }

  get atTop() {
    return this.el.scrollTop < TOP_PX;
  }

  /** Render the present entries. */
  refresh = () => {
    const before = new Set(this.#rows.keys());
    const moved = this.#keepPosition();
    this.#renderVisible();
    const fresh = moved || !before.size ? [] : [...this.#rows].filter(([id]) => !before.has(id));
    if (fresh.length <= MAX_HIGHLIGHTED) for (const [, row] of fresh) row.highlight();
    this.#renderNewer();
  };

  /** Select the row `by` further down (or up); return its id. */
  move(by) {
    const { entries } = this.#source;
    if (!entries.length) return undefined;
    const at = this.#source.indexOf(this.#current);
    const from = at < 0 ? this.#top - (by > 0 ? 1 : 0) : at;
    const to = Math.min(entries.length - 1, Math.max(0, from + by));
    this.select(entries[to].id, to);
    return entries[to].id;
  }

  /** Select a row, scroll it into view and focus it. */
  select(id, at = this.#source.indexOf(id), focus = true) {
    this.#current = id;
    const [top, room] = [at * this.#height, this.el.clientHeight - this.#headHeight()];
    if (top < this.el.scrollTop) this.el.scrollTop = top;
    else if (top + this.#height > this.el.scrollTop + room) this.el.scrollTop = top + this.#height - room;
    this.#renderVisible();
    if (focus) this.#rows.get(id)?.name.focus({ preventScroll: true });
  }

  /** Focus the selected row; return whether there is one. */
  restoreFocus() {
    this.#rows.get(this.#current)?.name.focus({ preventScroll: true });
    return this.#rows.has(this.#current);
  }

  #click(event, open) {
    const tr = event.target.closest("tr");
    if (tr && event.target.closest(".c-check")) return this.ticks.onClick(event, tr.dataset.id);
    if (!tr || event.metaKey || event.ctrlKey || event.shiftKey || getSelection()?.type === "Range") return;
    event.preventDefault();
    this.select(tr.dataset.id, undefined, false);
    open(tr.dataset.id);
  }

  #onScroll() {
    this.#painting ||= requestAnimationFrame(() => {
      this.#painting = 0;
      this.#keepPosition(); // entries may have changed since
      this.#renderVisible();
      this.#renderNewer();
    });
  }

  // Rows added or deleted above the view must not move the visible ones.
  #keepPosition() {
    const busy = this.el.scrollTop > 0 || this.ticks.size > 0 || performance.now() - this.#touchedAt < TOUCH_MS || this.el.matches(":hover") || this.#body.contains(document.activeElement);
    const moved = busy ? this.#getShift() : 0;
    if (!moved) return 0;
    if (moved > 0) this.#newerCount += moved;
    // Room to scroll in, also where fewer rows follow than the view has.
    const wanted = this.el.scrollTop + moved * this.#height;
    this.#slack = Math.max(0, wanted + this.el.clientHeight - this.#source.size * this.#height);
    this.#setPadding(this.#source.size);
    this.el.scrollTop = wanted;
    return moved;
  }

  // Return by how many rows the visible ones moved; deleted anchors are skipped.
  #getShift() {
    for (const [id, index] of this.#anchors) {
      const at = this.#source.indexOf(id, index);
      if (at >= 0) return at - index;
    }
    return 0;
  }

  // Sizes are read before anything is written: else the browser lays the table out twice.
  #renderVisible() {
    if (!this.#columns.length) return;
    const { entries } = this.#source;
    const [scrolled, room] = [this.el.scrollTop, this.el.clientHeight];
    this.#isAtTop = scrolled < TOP_PX;
    this.#height = matchMedia("(max-width: 720px)").matches ? 56 : 32;
    const top = Math.min(Math.floor(scrolled / this.#height), Math.max(0, entries.length - 1));
    this.#top = top;
    this.#anchors = entries.slice(top, top + MAX_ANCHORS).map((entry, k) => [entry.id, top + k]);
    const from = Math.max(0, top - MARGIN);
    const to = Math.min(entries.length, top + Math.ceil(room / this.#height) + MARGIN);
    this.#placeRows(from, entries.slice(from, to));
    this.#setPadding(from, entries.length - to);
    if (entries.length - to < 4 * MARGIN) this.#onEndNear();
  }

  #placeRows(from, wanted) {
    const ids = new Set(wanted.map((entry) => entry.id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) this.#releaseRow(id, row);
    const current = ids.has(this.#current) ? this.#current : wanted[0]?.id;
    let at = this.#body.firstElementChild;
    wanted.forEach((entry, k) => {
      const row = this.#rows.get(entry.id) ?? this.#acquireRow(entry.id);
      row.fill(entry.task);
      row.place(from + k, entry.id === this.#current, entry.id === current, this.ticks.has(entry.id));
      if (row.tr === at) at = at.nextElementSibling;
      else this.#body.insertBefore(row.tr, at);
    });
    setAttr(this.#table, "aria-rowcount", this.#source.more ? -1 : this.#source.size + 1);
  }

  #acquireRow(id) {
    const row = this.#pool.pop() ?? new Row(this.#columns);
    this.#rows.set(id, row);
    return row;
  }

  #releaseRow(id, row) {
    const focused = row.tr.contains(document.activeElement);
    this.#rows.delete(id);
    row.tr.remove();
    this.#pool.push(row);
    if (focused) this.el.focus({ preventScroll: true });
  }

  #setPadding(above, below = 0) {
    if (this.#isAtTop && above < this.#source.size) this.#slack = 0;
    [above * this.#height, below * this.#height + this.#slack].forEach((pixels, k) => {
      this.#pads[k].hidden = !pixels;
      this.#pads[k].firstElementChild.style.setProperty("height", `${pixels}px`);
    });
  }

  #renderNewer() {
    if (this.#isAtTop) this.#newerCount = 0;
    this.#newer.hidden = !this.#newerCount;
    setText(this.#newer, `↑ ${this.#newerCount > MAX_SHOWN_NEWER ? `${MAX_SHOWN_NEWER}+` : formatCount(this.#newerCount)} newer`);
  }

  #headHeight() {
    return this.#table.tHead.offsetHeight;
  }
}

const prefersReducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
