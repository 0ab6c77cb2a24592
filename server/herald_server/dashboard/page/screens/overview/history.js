/** The last hour or day: how much was done, what failed, how long it took, and when not. */

import { h, mark, shape } from "../../dom.js";
import { many } from "../../format.js";
import { failed, loading } from "../../parts/blank.js";
import { card } from "../../parts/card.js";
import { Timeline } from "../../parts/timeline.js";
import { drawn } from "./answers.js";

const WINDOWS = ["1h", "24h"];
const DAY_S = 60; // how often a day is read again

export class History {
  #window = "1h";
  #visit;
  #asked = null;
  #day = null; // the answer for a day
  #drawn = null;
  #timeline = new Timeline();
  #buttons = WINDOWS.map((name) => h("button", { type: "button", "aria-pressed": String(name === this.#window) }, name === "1h" ? "1 h" : "24 h"));
  #marks = h("p", { className: "marks" });
  #card = card("History", { className: "history", tools: [this.#marks, h("div", { className: "switch", role: "group", "aria-label": "How far back" }, this.#buttons)] });
  #shown = "";
  el = this.#card.el;

  constructor(visit) {
    this.#visit = visit;
    this.#buttons.forEach((button, k) => button.addEventListener("click", () => this.#turn(WINDOWS[k])));
    visit.onEnd(this.#timeline.live());
  }

  draw({ figures }) {
    const answer = this.#window === "1h" ? series(figures) : this.#day;
    if (!answer) return this.#show("wait", () => loading(4));
    if (answer.error) return this.#show("error", () => failed(answer.error.message));
    this.#show("drawing", () => this.#timeline.el);
    if (answer.value === this.#drawn) return;
    this.#drawn = answer.value;
    const data = drawn(answer.value);
    this.#legend(data.marks);
    this.#timeline.show(data);
  }

  /** Draw anew, as when times changed their zone. */
  refresh() {
    this.#drawn = null;
  }

  #turn(name) {
    this.#window = name;
    this.#day = null;
    this.#buttons.forEach((button, k) => mark(button, "aria-pressed", WINDOWS[k] === name));
    if (name === "24h") this.#asked ??= this.#visit.ask("api/v1/stats/series?window=24h", (answer) => (this.#day = answer), DAY_S);
    if (name === "24h") this.#asked.ask();
  }

  #legend(marks) {
    const n = (kind) => marks.filter((mark) => mark.kind === kind).length;
    const gone = n("worker_offline") + n("worker_silent");
    const parts = [["start", many(n("worker_started"), "worker start")], ["gone", gone ? `${gone} gone` : ""], ["gap", many(n("gap"), "gap")]];
    this.#marks.replaceChildren(...parts.filter(([, text]) => text).flatMap(([sign, text]) => [shape(sign), h("span", {}, text)]));
  }

  #show(key, make) {
    if (key !== this.#shown) this.#card.body.replaceChildren(make());
    this.#shown = key;
  }
}

const series = (answer) => answer && (answer.error ? answer : { value: answer.value.series });
