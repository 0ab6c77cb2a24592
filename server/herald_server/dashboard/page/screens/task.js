/** One task as a page of its own: what it is, when it ran, its family, its outcome. */

import * as address from "../address.js";
import { button, h, mark, say, shape, soon, swap } from "../dom.js";
import { share } from "../figures.js";
import { many, runtime, value as written } from "../format.js";
import { empty, failed, loading } from "../parts/blank.js";
import { card } from "../parts/card.js";
import { attempts, facts, notices, settled, values } from "../parts/details.js";
import { family } from "../parts/family.js";
import { Lifeline } from "../parts/lifeline.js";
import { Orders } from "../parts/orders.js";
import { read } from "../rest.js";
import { stateLook } from "../states.js";

export function show(place, visit) {
  const id = visit.place.arg;
  if (!id) return void place.append(empty("No task", "Open one from the list of tasks.", h("a", { href: address.link("tasks"), className: "button" }, "Show tasks")));
  const screen = new TaskPage(id, visit);
  place.append(...screen.parts);
  return { refresh: () => screen.draw() };
}

class TaskPage {
  #id;
  #live = null; // as pushed
  #whole = null; // as read, with its attempts
  #error = null;
  #asked;
  #related;
  #state = h("p", { className: "state big" });
  #name = h("h2", { className: "task-name" });
  #orders = new Orders();
  #notices = h("div", { className: "details" });
  #line = new Lifeline();
  #attempts = card("Attempts");
  #family = card("Family");
  #facts = card("Facts");
  #values = card("Values", { tools: [] });
  #outcome = h("div", { className: "details" });

  constructor(id, visit) {
    this.#id = id;
    const path = `api/v1/tasks/${encodeURIComponent(id)}`;
    visit.follow({ id: "page", filter: { ids: [id] } }, (tasks) => this.#hear(tasks.items.get(id)));
    this.#asked = visit.ask(path, (answer) => this.#take(answer));
    this.#related = visit.ask(`${path}/tree`, (answer) => this.#relate(answer));
    visit.onEnd(this.#line.live());
    visit.tick(() => this.#tick());
    const head = h("section", { className: "card task-head", "aria-label": "Task" }, this.#state, this.#name, h("p", { className: "id" }, id), this.#orders.el, this.#notices);
    this.#attempts.body.append(this.#line.el, h("div", { className: "details" }));
    this.#family.body.append(loading(3));
    const whole = button("Read the whole result", () => this.#read(`${path}/result`), "small");
    this.#values.el.querySelector(".bar").append(whole);
    this.#values.body.append(this.#outcome, h("div", { className: "details" }));
    const left = h("div", { className: "column" }, this.#attempts.el, this.#values.el);
    const right = h("div", { className: "column" }, this.#family.el, this.#facts.el);
    this.parts = [head, h("div", { className: "two" }, left, right)];
    this.draw();
  }

  #hear(task) {
    if (!task || task === this.#live) return;
    this.#live = task;
    this.#asked.again(0.5);
    this.#related.again(2);
    soon(() => this.draw());
  }

  #take({ value, error }) {
    if (value) this.#whole = value;
    this.#error = error ?? null;
    this.draw();
  }

  draw() {
    const task = { id: this.#id, ...this.#whole, ...this.#live };
    const look = stateLook(task.state ?? "…");
    mark(this.#state, "data-tone", look.tone);
    const percent = task.final ? null : share(task.progress);
    swap(this.#state, [shape(look.shape), look.word, h("span", { className: "time" }, runtime(task)),
      ...(percent === null ? [] : [h("progress", { max: 100, value: percent, "aria-label": "Progress" }), h("span", { className: "time" }, `${Math.floor(percent)} %`)])]);
    say(this.#name, task.name ?? (this.#error ? "Unknown task" : "Task"));
    this.#orders.show(task);
    swap(this.#notices, this.#error && !this.#live ? [failed(this.#error.message, () => this.#asked.ask())] : notices(task));
    const runs = settled(task, this.#whole?.attempts);
    say(this.#attempts.note, runs.length ? many(runs.length, "attempt") : "");
    this.#line.show(task, runs);
    swap(this.#attempts.body.lastElementChild, body(attempts(runs)));
    swap(this.#facts.body, body(facts(task)));
    swap(this.#values.body.lastElementChild, values(task));
  }

  // What goes on grows by itself.
  #tick() {
    if (this.#live && !this.#live.final) this.draw();
  }

  #relate({ value, error }) {
    if (error) return swap(this.#family.body, [error.status === 404 ? empty("No family", "Nothing is stored of this task.") : failed(error.message, () => this.#related.ask())]);
    const { tasks, root, whole } = value;
    say(this.#family.note, `${many(tasks.length, "task")}${whole ? "" : ", and more"}`);
    swap(this.#family.body, [family(tasks, root, this.#id)]);
  }

  async #read(path) {
    this.#outcome.replaceChildren(loading(2));
    const answer = await read(path).then(outcome, (error) => [failed(error.message)]);
    this.#outcome.replaceChildren(...answer);
  }
}

// Facts and attempts bring headings for the panel; here the card has them.
const body = (sections) => sections.flatMap((section) => [...section.children].filter((child) => child.tagName !== "H3"));

function outcome({ source, whole, size, result, exception, traceback, message }) {
  const from = source === "backend" ? "As the result backend has it" : "As the event told it";
  const much = whole ? "" : `; cut: ${many(size ?? 0, "byte")} in all`;
  const said = [message, `${from}${much}.`].filter(Boolean).join(" ");
  const texts = [result, exception, traceback].filter((one) => one !== undefined && one !== null);
  return [h("p", { className: "fine" }, said), ...texts.map((text) => h("pre", { tabIndex: 0, "aria-label": "Whole result" }, written(text)))];
}
