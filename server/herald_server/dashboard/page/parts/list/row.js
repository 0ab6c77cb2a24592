/** One row of the task list; it is reused for other tasks. */

import { linkWith } from "../../base/address.js";
import { h, icon, setAttr, setText } from "../../base/dom.js";
import { getPercent } from "../../base/metrics.js";
import { getStateLook } from "../../base/states.js";
import { TaskName } from "../common/task-name.js";
import { COLUMNS, fillDetail } from "./columns.js";

/** A table row that writes only what differs. */
export class Row {
  #task = null;
  #state = "";
  #label = new TaskName();
  #columns;

  /** @param {string[]} keys of `COLUMNS` */
  constructor(keys) {
    this.#columns = keys.map((key) => [key, COLUMNS[key]]);
    const cell = Object.fromEntries(this.#columns.map(([key, { name, num }]) => [key, h("td", { role: "cell", className: num ? `${name} num` : name })]));
    this.cell = cell;
    this.stateLabel = h("span", { className: "state" });
    this.name = h("a", { tabIndex: -1 }, this.#label.el);
    this.percent = h("span", { className: "percent" });
    this.meter = h("progress", { max: 100, "aria-label": "Progress" });
    this.progress = h("span", { className: "meter", hidden: true }, this.meter, this.percent);
    this.detail = h("span", { className: "detail-text" });
    this.box = h("input", { type: "checkbox", tabIndex: -1 });
    cell.state?.append(this.stateLabel);
    cell.name.append(this.name);
    cell.detail?.append(this.progress, this.detail);
    if (!cell.detail) cell.progress?.append(this.progress);
    this.tr = h("tr", { role: "row" }, h("td", { role: "cell", className: "c-check" }, this.box), Object.values(cell));
  }

  fill(task) {
    if (task === this.#task) return;
    const { cell } = this;
    if (task.id !== this.#task?.id) this.#reset(task.id);
    this.#task = task;
    this.#showState(task);
    this.#label.set(task.name);
    setAttr(this.box, "aria-label", `Select ${task.name ?? "task"} ${task.id.slice(0, 8)}`);
    if (cell.detail) fillDetail(this.detail, task);
    this.#showProgress(task);
    for (const [key, column] of this.#columns) this.#fillCell(cell[key], column);
  }

  /** Set the index of the row, and whether it is selected, focusable or ticked. */
  place(index, isCurrent, isFocusable, isTicked) {
    setAttr(this.tr, "aria-rowindex", index + 2);
    setAttr(this.tr, "aria-current", isCurrent ? "true" : null);
    this.name.tabIndex = isFocusable ? 0 : -1;
    if (this.box.checked !== isTicked) this.box.checked = isTicked;
    setAttr(this.tr, "data-ticked", isTicked ? "" : null);
  }

  /** Update what changes with the time. */
  tick() {
    for (const [key, { ticks, text }] of this.#columns) if (ticks) setText(this.cell[key], text(this.#task));
  }

  /** Highlight it for a moment as new. */
  highlight() {
    this.tr.classList.add("fresh");
  }

  #fillCell(cell, { text, hint }) {
    if (!text) return;
    setText(cell, text(this.#task));
    if (hint) setAttr(cell, "title", hint(this.#task));
  }

  #reset(id) {
    this.tr.classList.remove("fresh");
    this.tr.dataset.id = id;
    this.name.href = linkWith({ task: id });
  }

  #showState(task) {
    setAttr(this.tr, "data-state", task.state);
    if (task.state === this.#state) return;
    const look = getStateLook((this.#state = task.state));
    this.stateLabel.replaceChildren(icon(look.icon), look.label);
    setAttr(this.tr, "data-tone", look.tone);
    setAttr(this.stateLabel, "data-tone", look.tone);
  }

  // Only reported progress is shown, never an estimate.
  #showProgress({ progress, final }) {
    const percent = getPercent(progress);
    this.progress.hidden = final || percent === null;
    this.detail.hidden = Boolean(this.cell.detail) && !this.progress.hidden;
    if (this.progress.hidden) return;
    this.meter.value = percent;
    setText(this.percent, `${Math.floor(percent)} %`);
    setAttr(this.progress, "title", progress.message);
  }
}
