/**
 * Tasks in order, newest first: the live head of a list joined with the pages read
 * behind it. Pure. A task keeps its place while it is here.
 *
 * @typedef {{id: string, rank: number, task: any}} Line
 */

/** When a task came up, in ms. What comes later in its life does not move it. */
const moment = (task) => Date.parse(task.received_at ?? task.submitted_at ?? task.started_at ?? task.updated_at) || 0;

const before = (a, b) => b.rank - a.rank || (a.id < b.id ? 1 : -1);

export class Ledger {
  /** @type {Line[]} */ lines = [];
  /** Whether older tasks than these may match. */ more = true;
  #byId = new Map();
  #doubtful = new Set(); // not heard of since the last reset
  #meanwhile = null; // id → task, or null if gone: told while a page was being read

  get size() {
    return this.lines.length;
  }

  get(id) {
    return this.#byId.get(id)?.task;
  }

  has(id) {
    return this.#byId.has(id);
  }

  /** Where a task stands, −1 if nowhere; `near` is a guess. */
  at(id, near = 0) {
    if (!this.#byId.has(id)) return -1;
    if (this.lines[near]?.id === id) return near;
    return this.lines.findIndex((line) => line.id === id);
  }

  /** Begin anew with a whole snapshot. */
  restart(tasks, more) {
    this.lines = [];
    this.#byId.clear();
    this.#doubtful.clear();
    this.more = more;
    this.put(tasks);
  }

  /** A snapshot of the same question: what is not in it may still hold, until `settle`. */
  doubt(tasks) {
    this.#doubtful = new Set(this.#byId.keys());
    this.more = true;
    this.put(tasks);
  }

  /** Everything was asked about down to the end of the list: forget what was not heard. */
  settle() {
    this.drop(this.#doubtful);
    this.#doubtful.clear();
  }

  /** Take in tasks as they are now; those older than the end wait for their page. */
  put(tasks) {
    const end = this.more ? (this.lines.at(-1)?.rank ?? -Infinity) : -Infinity;
    for (const task of tasks) this.#meanwhile?.set(task.id, task);
    return this.#add(tasks, end);
  }

  /** Note that a page is being read: it may be older than what is told meanwhile. */
  expect() {
    this.#meanwhile = new Map();
  }

  /** Take in the page; returns how many of its tasks were not here yet. */
  page(tasks) {
    const told = this.#meanwhile ?? new Map();
    this.#meanwhile = null;
    const now = tasks.map((task) => (told.has(task.id) ? told.get(task.id) : task));
    return this.#add(now.filter((task) => task !== null), -Infinity);
  }

  #add(tasks, end) {
    const fresh = [];
    for (const task of tasks) {
      this.#doubtful.delete(task.id);
      const known = this.#byId.get(task.id);
      if (known) known.task = newer(known.task, task);
      else if (moment(task) >= end) fresh.push({ id: task.id, rank: moment(task), task });
    }
    for (const line of fresh) this.#byId.set(line.id, line);
    if (fresh.length) this.lines = joined(fresh.sort(before), this.lines);
    return fresh.length;
  }

  drop(ids) {
    for (const id of ids) this.#meanwhile?.set(id, null);
    const gone = new Set([...ids].filter((id) => this.#byId.delete(id)));
    if (gone.size) this.lines = this.lines.filter((line) => !gone.has(line.id));
  }

  /** Forget all but the newest. */
  trim(most) {
    for (const line of this.lines.splice(most)) this.#byId.delete(line.id);
    this.more = true;
  }
}

// A page may have been read before a change that was told meanwhile.
function newer(known, task) {
  return task.updated_at && known.updated_at > task.updated_at ? known : task;
}

function joined(fresh, lines) {
  if (!lines.length || before(fresh.at(-1), lines[0]) < 0) return fresh.concat(lines);
  if (before(lines.at(-1), fresh[0]) < 0) return lines.concat(fresh);
  const all = [];
  let k = 0;
  for (const line of fresh) {
    while (k < lines.length && before(lines[k], line) < 0) all.push(lines[k++]);
    all.push(line);
  }
  while (k < lines.length) all.push(lines[k++]);
  return all;
}
