/**
 * A keyed collection that follows the server: frames in, items out. No socket.
 *
 * @typedef {import("./client.js").Wanted} Wanted
 * @typedef {import("./client.js").Item} Item
 * @typedef {import("./client.js").Change} Change
 * @typedef {import("./client.js").Refusal} Refusal
 */

const SHORT = 0.8; // a cut-off collection that shrank below this part is read anew

/** One thing subscribed to: a keyed collection that follows the server. */
export class Collection {
  /** @type {Map<string, Item>} */ items = new Map();
  /** @type {Refusal|null} */ error = null;
  /** Whether a whole snapshot of the present filter is in `items`. */ synced = false;
  /** Whether every watched id is final and nothing more will come. */ done = false;
  /** Whether older matching items exist beyond `limit`. */ truncated = false;
  /** How many items of an unfinished snapshot have arrived. */ arriving = 0;
  #cursor = null;
  #staged = null; // a snapshot under way; swapped in when whole
  #deaf = true; // frames before the first reset speak of an older filter
  #known = false; // to the server, on this connection
  #ranks = new Map(); // id → the time it is ordered by, fixed at first sight
  #order = null;
  #say;
  #onChange;

  /** @param {Wanted} wanted @param {(c: Collection) => void} say @param {Function} onChange */
  constructor(wanted, say, onChange) {
    this.wanted = wanted;
    this.#say = say;
    this.#onChange = onChange;
  }

  /** Ask for something else under the same id; the old items stay until the new are whole. */
  update(/** @type {Partial<Wanted>} */ changes) {
    this.wanted = { ...this.wanted, ...changes };
    this.error = null;
    this.synced = this.done = false;
    this.#forget();
  }

  /** The items, newest first; an item never changes its place while it is here. */
  newest() {
    const rank = (id) => this.#ranks.get(id);
    this.#order ??= [...this.items.keys()].sort(
      (a, b) => rank(b) - rank(a) || (a < b ? 1 : -1),
    );
    return this.#order.map((id) => this.items.get(id));
  }

  /** The frame that asks for this collection, resuming where that is safe. */
  request() {
    this.#known = false;
    const since = this.#cursor ? { since: this.#cursor } : {};
    return { type: "subscribe", ...this.wanted, ...since };
  }

  apply(/** @type {any} */ frame) {
    if (frame.reset) this.#restart();
    else if (this.#deaf) return;
    const into = this.#staged ?? this.items;
    this.#known = true;
    for (const item of frame.put ?? []) into.set(item.id, item);
    for (const id of frame.del ?? []) into.delete(id);
    if (!this.#staged) return this.#merge(frame);
    this.reset = frame.reset ?? this.reset;
    this.arriving = this.#staged.size;
    this.#tell({ put: [], del: [] });
  }

  /** Take a cursor: all that the server knows to be asked for is whole up to it. */
  bookmark(/** @type {string} */ cursor) {
    if (this.#deaf || !this.#known) return;
    if (this.#staged) this.#settle();
    this.#cursor = cursor;
  }

  /** Note that the server has taken in what was asked for. */
  acknowledge() {
    this.#known = true;
  }

  finish() {
    if (this.#staged) this.#settle();
    this.done = true;
    this.#tell({ put: [], del: [] });
  }

  refuse(/** @type {Refusal} */ error) {
    this.error = error;
    this.#tell({ put: [], del: [] });
    const again = () => this.error === error && this.#forget();
    if (error.retry) setTimeout(again, 1_000 + Math.random() * 2_000);
  }

  #forget() {
    this.#cursor = this.#staged = null;
    this.#deaf = true;
    this.#say(this);
  }

  #restart() {
    this.#staged = new Map();
    this.#cursor = null;
    this.#deaf = this.done = false;
    this.error = null;
  }

  #settle() {
    this.items = this.#staged;
    this.#staged = null;
    this.arriving = 0;
    this.synced = true;
    this.#ranks = new Map([...this.items.values()].map((item) => [item.id, moment(item)]));
    this.#order = null;
    this.truncated = this.wanted.limit !== undefined && this.items.size >= this.wanted.limit;
    this.#tell({ put: [...this.items.keys()], del: [], reset: this.reset });
  }

  #merge({ put = [], del = [] }) {
    for (const item of put) {
      if (this.#ranks.has(item.id)) continue;
      this.#ranks.set(item.id, moment(item));
      this.#order = null;
    }
    for (const id of del) if (this.#ranks.delete(id)) this.#order = null;
    const cut = this.#trim();
    this.#tell({ put: put.map((item) => item.id), del: [...del, ...cut], told: { put, del } });
    if (this.truncated && this.items.size < this.wanted.limit * SHORT) this.#refill();
  }

  #trim() {
    const { limit } = this.wanted;
    if (limit === undefined || this.items.size <= limit) return [];
    const cut = this.newest().slice(limit).map((item) => item.id);
    for (const id of cut) {
      this.items.delete(id);
      this.#ranks.delete(id);
    }
    this.#order = null;
    this.truncated = true;
    return cut;
  }

  #refill() {
    this.truncated = false; // until the new snapshot says otherwise: asks once
    this.#forget();
  }

  #tell(/** @type {Change} */ change) {
    this.#onChange?.(this, change);
  }
}

/** When an item came up, in ms; what comes later in its life does not move it. */
function moment(item) {
  return Date.parse(item.received_at ?? item.submitted_at ?? item.started_at ?? item.updated_at) || 0;
}
