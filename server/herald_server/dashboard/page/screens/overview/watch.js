/** What the parts of the overview look at, read once for all of them. */

const MOST = 1_000; // running tasks that are followed
const AGAIN_S = 10; // how often the figures are read

// The rest comes over the channel.
const FIGURES = "health,failing,suspects,suspects_total,suspects_counts,suspects_whole,series";
const FIELDS = ["id", "name", "state", "worker", "queue", "progress", "started_at", "received_at", "updated_at", "reason", "final"];

export class Watch {
  #told = () => {};
  #goodAt = 0; // of the last answer
  /** The answer of `/api/v1/overview`: {value} or {error}; null before the first. */
  figures = null;
  /** How the connection is, with its gaps. */
  connection = null;

  /** @param {import("../../visit.js").Visit} visit */
  constructor(visit) {
    this.live = visit.live;
    this.active = visit.follow({ id: "running", filter: { state: ["STARTED"] }, limit: MOST, fields: FIELDS }, () => this.#told());
    visit.onEnd(visit.live.observe(() => this.#told()));
    visit.observe((state) => this.#connected(state));
    this.asked = visit.ask(`api/v1/overview?fields=${FIGURES}`, (answer) => this.#take(answer), AGAIN_S);
  }

  /** Run `told` whenever something is new. */
  observe(told) {
    this.#told = told;
  }

  /** Running tasks, the longest first; null until told. */
  get longest() {
    if (!this.active.synced) return null;
    const known = [...this.active.items.values()].filter((task) => task.started_at);
    return known.sort((a, b) => (a.started_at < b.started_at ? -1 : a.started_at > b.started_at ? 1 : a.id < b.id ? -1 : 1));
  }

  /** What the server is worried about, without those that have ended since; null until told. */
  get suspects() {
    const found = this.figures?.value?.suspects;
    if (!found || !this.active.synced) return found ?? null;
    const over = ({ why, task }) => why === "long" && !this.active.truncated && !this.active.items.has(task.id);
    return found.filter((one) => !over(one));
  }

  #connected(state) {
    if (state.word === "live" && this.connection && this.connection.word !== "live") this.asked.ask();
    this.connection = state;
    this.#told();
  }

  // One answer that does not come (a restart, say) voids nothing yet; the corner tells.
  #take(answer) {
    const keep = answer.error && this.figures?.value && performance.now() - this.#goodAt < 3_000 * AGAIN_S;
    if (!answer.error) this.#goodAt = performance.now();
    if (!keep) this.figures = answer;
    this.#told();
  }
}
