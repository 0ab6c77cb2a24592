/**
 * The loaded part of a task list, newest first: the live head and the older pages
 * read so far. Pure. A task keeps its position while it is loaded.
 *
 * @typedef {{id: string, rank: number, task: any}} Entry
 */

/** Return the first known time of a task in ms; later events do not move it. */
const getRank = (task) => Date.parse(task.received_at ?? task.submitted_at ?? task.started_at ?? task.updated_at) || 0;

const compare = (a, b) => b.rank - a.rank || (a.id < b.id ? 1 : -1);

export class TaskWindow {
  /** @type {Entry[]} */ entries = [];
  /** Whether older tasks than these may match. */ more = true;
  /** Whether these are of the query before. */ isWaiting = false;
  #isOrdered = false; // pages come in another order than by time
  #count = 0; // of the tasks of such pages
  #byId = new Map();
  #unconfirmed = new Set(); // not seen since the last reset
  #changes = null; // id → task, or null if deleted: received while a page was read

  get size() {
    return this.entries.length;
  }

  get(id) {
    return this.#byId.get(id)?.task;
  }

  has(id) {
    return this.#byId.has(id);
  }

  /** Return the index of a task, −1 if it is not loaded; `near` is a guess. */
  indexOf(id, near = 0) {
    if (!this.#byId.has(id)) return -1;
    if (this.entries[near]?.id === id) return near;
    return this.entries.findIndex((entry) => entry.id === id);
  }

  /** Let the next page replace everything; `keepsOrder`: pages have an order of their own. */
  beginSearch(keepsOrder) {
    this.isWaiting = this.more = true;
    this.#isOrdered = keepsOrder;
  }

  /** Replace everything by a snapshot. */
  restart(tasks, more) {
    this.isWaiting = this.#isOrdered = false;
    this.#clear();
    this.more = more;
    this.put(tasks);
  }

  #clear() {
    this.entries = [];
    this.#byId.clear();
    this.#unconfirmed.clear();
    this.#count = 0;
  }

  /** Merge a snapshot of the same filter; tasks that it lacks stay until `dropUnconfirmed`. */
  mergeSnapshot(tasks) {
    this.#unconfirmed = new Set(this.#byId.keys());
    this.more = true;
    this.put(tasks);
  }

  /** Drop the tasks that were not seen again, once the list was read to its end. */
  dropUnconfirmed() {
    this.drop(this.#unconfirmed);
    this.#unconfirmed.clear();
  }

  /** Insert or update tasks; those older than the last entry wait for their page. */
  put(tasks) {
    const end = this.more ? (this.entries.at(-1)?.rank ?? -Infinity) : -Infinity;
    for (const task of tasks) this.#changes?.set(task.id, task);
    return this.#add(tasks, end);
  }

  /** Record changes from now on: they may be newer than the page that is being read. */
  beginPage() {
    this.#changes = new Map();
  }

  /** Merge the page; return how many of its tasks are new. */
  addPage(tasks) {
    const changes = this.#changes ?? new Map();
    this.#changes = null;
    if (this.isWaiting) this.#clear();
    this.isWaiting = false;
    const present = tasks.map((task) => (changes.has(task.id) ? changes.get(task.id) : task));
    return this.#add(present.filter((task) => task !== null), -Infinity);
  }

  #add(tasks, end) {
    const fresh = [];
    for (const task of tasks) {
      this.#unconfirmed.delete(task.id);
      const known = this.#byId.get(task.id);
      if (known) known.task = pickNewer(known.task, task);
      else if (this.#isOrdered) fresh.push({ id: task.id, rank: -(this.#count += 1), task });
      else if (getRank(task) >= end) fresh.push({ id: task.id, rank: getRank(task), task });
    }
    for (const entry of fresh) this.#byId.set(entry.id, entry);
    if (fresh.length) this.entries = mergeSorted(fresh.sort(compare), this.entries);
    return fresh.length;
  }

  drop(ids) {
    for (const id of ids) this.#changes?.set(id, null);
    const gone = new Set([...ids].filter((id) => this.#byId.delete(id)));
    if (gone.size) this.entries = this.entries.filter((entry) => !gone.has(entry.id));
  }

  /** Drop all but the newest. */
  trim(limit) {
    for (const entry of this.entries.splice(limit)) this.#byId.delete(entry.id);
    this.more = true;
  }
}

// A page may have been read before a change that arrived meanwhile.
function pickNewer(known, task) {
  return task.updated_at && known.updated_at > task.updated_at ? known : task;
}

function mergeSorted(fresh, entries) {
  if (!entries.length || compare(fresh.at(-1), entries[0]) < 0) return fresh.concat(entries);
  if (compare(entries.at(-1), fresh[0]) < 0) return entries.concat(fresh);
  const all = [];
  let k = 0;
  for (const entry of fresh) {
    while (k < entries.length && compare(entries[k], entry) < 0) all.push(entries[k++]);
    all.push(entry);
  }
  while (k < entries.length) all.push(entries[k++]);
  return all;
}
