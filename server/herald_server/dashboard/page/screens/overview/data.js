/** The data of the overview's tables, read once for all of them. */

const MAX_RUNNING = 1_000; // tasks of the subscription
const FIELDS = ["id", "name", "state", "worker", "queue", "progress", "started_at", "received_at", "updated_at", "reason", "final"];

export class OverviewData {
  #context;
  #onChange = () => {};

  /** @param {import("../../base/context/screen-context.js").ScreenContext} context */
  constructor(context) {
    this.#context = context;
    this.live = context.live;
    this.attention = context.attention;
    this.active = context.subscribe({ id: "running", filter: { state: ["STARTED"] }, limit: MAX_RUNNING, fields: FIELDS }, () => this.#onChange());
    context.onEnd(context.live.observe(() => this.#onChange()));
    context.onEnd(context.attention.observe(() => this.#onChange()));
    context.observe(() => this.#onChange());
  }

  /** Run `onChange` after each change. */
  observe(onChange) {
    this.#onChange = onChange;
  }

  /** The answer of `/api/v1/overview`: {value} or {error}; null before the first. */
  get figures() {
    return this.attention.figures;
  }

  /** Ask the server again. */
  send() {
    this.attention.send();
  }

  /** The state of the connection, with its gaps. */
  get connection() {
    return this.#context.connection;
  }

  /** The running tasks, the longest first; null until known. */
  get longest() {
    if (!this.active.synced) return null;
    const known = [...this.active.items.values()].filter((task) => task.started_at);
    return known.sort((a, b) => (a.started_at < b.started_at ? -1 : a.started_at > b.started_at ? 1 : a.id < b.id ? -1 : 1));
  }

  /** The suspect tasks without those that have ended since; null until known. */
  get suspects() {
    const found = this.figures?.value?.suspects;
    if (!found || !this.active.synced) return found ?? null;
    const hasEnded = ({ why, task }) => why === "long" && !this.active.truncated && !this.active.items.has(task.id);
    return found.filter((one) => !hasEnded(one));
  }
}
