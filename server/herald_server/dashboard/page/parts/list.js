/** A long table of which only what is in view exists; no row moves under a reader. */

import { everySecond, h, mark, say, soon } from "../dom.js";
import { count } from "../format.js";
import { COLUMNS, Row } from "./row.js";

const MARGIN = 10; // rows made beyond both edges
const CALM = 8; // more new rows than this at once, and none is lit
const SHOWN_NEWER = 999;
const HELD = 8; // rows that are looked for again: the first may have gone

const pad = () => h("tbody", { className: "pad", "aria-hidden": "true" }, h("tr", {}, h("td", { colSpan: COLUMNS.length })));

export class List {
  #ledger;
  #rows = new Map(); // id → Row, those in view
  #spare = [];
  #current = null; // the id of the row the arrow keys stand on
  #top = 0; // the line on top of the view
  #held = []; // [id, line] of the rows on top of the view, when it was drawn last
  #unseen = 0;
  #height = 32;
  #painting = 0;
  #pads = [pad(), pad()];
  #body = h("tbody", { id: "rows" });
  #table;
  #newer = h("button", { type: "button", className: "newer", id: "newer", hidden: true });
  #reach;

  /**
   * @param {import("./ledger.js").Ledger} ledger
   * @param {{label: string, open: (id: string) => void, reach: () => void}} how
   *   `reach` runs when the end of what is loaded comes near.
   */
  constructor(ledger, { label, open, reach }) {
    [this.#ledger, this.#reach] = [ledger, reach];
    const head = COLUMNS.map(({ word, name, num, title }) => h("th", { scope: "col", role: "columnheader", className: num ? `${name} num` : name, title }, word));
    this.#table = h("table", { className: "list", role: "table", "aria-label": label }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), this.#pads[0], this.#body, this.#pads[1]);
    mark(this.#body, "role", "rowgroup");
    this.el = h("div", { className: "scroller", id: "scroller", tabIndex: -1 }, this.#newer, this.#table);
    this.#body.addEventListener("click", (event) => this.#click(event, open));
    this.#newer.addEventListener("click", () => this.el.scrollTo({ top: 0, behavior: still() ? "auto" : "smooth" }));
    this.el.addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  /** Keep it true until the returned function is called. */
  live() {
    const sized = new ResizeObserver(() => soon(this.refresh));
    sized.observe(this.el);
    const stop = everySecond(() => this.#rows.forEach((row) => row.tick()));
    return () => (sized.disconnect(), stop());
  }

  /** Go back to the top, as for another question. */
  top() {
    this.#held = [];
    this.#unseen = 0;
    this.el.scrollTop = 0;
  }

  get atTop() {
    return this.el.scrollTop < 8;
  }

  /** How many rows from the top the end of the view is. */
  get depth() {
    return Math.ceil((this.el.scrollTop + this.el.clientHeight) / this.#height);
  }

  /** Draw what the ledger holds now. */
  refresh = () => {
    const before = new Set(this.#rows.keys());
    const moved = this.#keep();
    this.#window();
    const fresh = moved || !before.size ? [] : [...this.#rows].filter(([id]) => !before.has(id));
    if (fresh.length <= CALM) for (const [, row] of fresh) row.light();
    this.#pill();
  };

  /** Stand on the row `by` further down (or up), as the arrow keys do; its id. */
  move(by) {
    const { lines } = this.#ledger;
    if (!lines.length) return undefined;
    const at = this.#ledger.at(this.#current);
    const from = at < 0 ? this.#top - (by > 0 ? 1 : 0) : at;
    const to = Math.min(lines.length - 1, Math.max(0, from + by));
    this.stand(lines[to].id, to);
    return lines[to].id;
  }

  /** Stand on a row, in view and with the keyboard. */
  stand(id, at = this.#ledger.at(id), focus = true) {
    this.#current = id;
    const [top, room] = [at * this.#height, this.el.clientHeight - this.#headHeight()];
    if (top < this.el.scrollTop) this.el.scrollTop = top;
    else if (top + this.#height > this.el.scrollTop + room) this.el.scrollTop = top + this.#height - room;
    this.#window();
    if (focus) this.#rows.get(id)?.name.focus({ preventScroll: true });
  }

  /** Put the keyboard back on the row it stood on; false if there is none. */
  refocus() {
    this.#rows.get(this.#current)?.name.focus({ preventScroll: true });
    return this.#rows.has(this.#current);
  }

  #click(event, open) {
    const tr = event.target.closest("tr");
    if (!tr || event.metaKey || event.ctrlKey || event.shiftKey || getSelection()?.type === "Range") return;
    event.preventDefault();
    this.stand(tr.dataset.id, undefined, false);
    open(tr.dataset.id);
  }

  #scrolled() {
    this.#painting ||= requestAnimationFrame(() => {
      this.#painting = 0;
      this.#keep(); // the ledger may have changed since
      this.#window();
      this.#pill();
    });
  }

  // Rows that came or went above the view must not move what is in it.
  #keep() {
    const busy = this.el.scrollTop > 0 || this.el.matches(":hover") || this.#body.contains(document.activeElement);
    const moved = busy ? this.#shift() : 0;
    if (!moved) return 0;
    if (moved > 0) this.#unseen += moved;
    this.#pad(this.#ledger.size); // room to scroll in
    this.el.scrollTop += moved * this.#height;
    return moved;
  }

  // By how many lines the view has moved: of rows that left there is nothing to hold.
  #shift() {
    for (const [id, line] of this.#held) {
      const at = this.#ledger.at(id, line);
      if (at >= 0) return at - line;
    }
    return 0;
  }

  #window() {
    const { lines } = this.#ledger;
    this.#height = matchMedia("(max-width: 720px)").matches ? 56 : 32;
    const top = Math.min(Math.floor(this.el.scrollTop / this.#height), Math.max(0, lines.length - 1));
    this.#top = top;
    this.#held = lines.slice(top, top + HELD).map((line, k) => [line.id, top + k]);
    const from = Math.max(0, top - MARGIN);
    const to = Math.min(lines.length, top + Math.ceil(this.el.clientHeight / this.#height) + MARGIN);
    this.#arrange(from, lines.slice(from, to));
    this.#pad(from, lines.length - to);
    if (lines.length - to < 4 * MARGIN) this.#reach();
  }

  #arrange(from, wanted) {
    const ids = new Set(wanted.map((line) => line.id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) this.#free(id, row);
    const current = ids.has(this.#current) ? this.#current : wanted[0]?.id;
    let at = this.#body.firstElementChild;
    wanted.forEach((line, k) => {
      const row = this.#rows.get(line.id) ?? this.#take(line.id);
      row.fill(line.task);
      row.place(from + k, line.id === this.#current, line.id === current);
      if (row.tr === at) at = at.nextElementSibling;
      else this.#body.insertBefore(row.tr, at);
    });
    mark(this.#table, "aria-rowcount", this.#ledger.more ? -1 : this.#ledger.size + 1);
  }

  #take(id) {
    const row = this.#spare.pop() ?? new Row();
    this.#rows.set(id, row);
    return row;
  }

  #free(id, row) {
    const focused = row.tr.contains(document.activeElement);
    this.#rows.delete(id);
    row.tr.remove();
    this.#spare.push(row);
    if (focused) this.el.focus({ preventScroll: true });
  }

  #pad(above, below = 0) {
    [above, below].forEach((rows, k) => {
      this.#pads[k].hidden = !rows;
      this.#pads[k].firstElementChild.style.setProperty("height", `${rows * this.#height}px`);
    });
  }

  #pill() {
    if (this.atTop) this.#unseen = 0;
    this.#newer.hidden = !this.#unseen;
    say(this.#newer, `↑ ${this.#unseen > SHOWN_NEWER ? `${SHOWN_NEWER}+` : count(this.#unseen)} newer`);
  }

  #headHeight() {
    return this.#table.tHead.offsetHeight;
  }
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
