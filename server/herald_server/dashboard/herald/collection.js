/**
 * A keyed collection that mirrors the server: frames in, items out. No socket.
 *
 * @typedef {import("./client.js").Wanted} Wanted
 * @typedef {import("./client.js").Item} Item
 * @typedef {import("./client.js").Change} Change
 * @typedef {import("./client.js").Refusal} Refusal
 */

const REFILL_SHARE = 0.8; // a truncated collection that shrank below this share is read again

/** One subscription: a keyed collection that mirrors the server. */
export class Collection {
  /** @type {Map<string, Item>} */ items = new Map();
  /** @type {Refusal|null} */ error = null;
  /** Whether a whole snapshot of the present filter is in `items`. */ synced = false;
  /** Whether every subscribed id is final: no more changes follow. */ done = false;
  /** Whether older matching items exist beyond `limit`. */ truncated = false;
  /** How many items of an unfinished snapshot have arrived. */ arriving = 0;
  #cursor = null;
  #staged = null; // an incomplete snapshot; it replaces `items` when complete
  #awaitsReset = true; // frames before the first reset are of an earlier filter
  #isConfirmed = false; // by the server, on this connection
  #ranks = new Map(); // id → the time it is ordered by, fixed at first sight
  #order = null;
  #send;
  #onChange;

  /** @param {Wanted} wanted @param {(c: Collection) => void} send @param {Function} onChange */
  constructor(wanted, send, onChange) {
    this.wanted = wanted;
    this.#send = send;
    this.#onChange = onChange;
  }

  /** Change the subscription; the old items stay until the new snapshot is complete. */
  update(/** @type {Partial<Wanted>} */ changes) {
    this.wanted = { ...this.wanted, ...changes };
    this.error = null;
    this.synced = this.done = false;
    this.#resubscribe();
  }

  /** The items, newest first; an item keeps its position. */
  newest() {
    const rank = (id) => this.#ranks.get(id);
    this.#order ??= [...this.items.keys()].sort(
      (a, b) => rank(b) - rank(a) || (a < b ? 1 : -1),
    );
    return this.#order.map((id) => this.items.get(id));
  }

  /** The subscribe frame, with a cursor where resuming is safe. */
  request() {
    this.#isConfirmed = false;
    const since = this.#cursor ? { since: this.#cursor } : {};
    return { type: "subscribe", ...this.wanted, ...since };
  }

  apply(/** @type {any} */ frame) {
    if (frame.reset) this.#restart();
    else if (this.#awaitsReset) return;
    const into = this.#staged ?? this.items;
    this.#isConfirmed = true;
    for (const item of frame.put ?? []) into.set(item.id, item);
    for (const id of frame.del ?? []) into.delete(id);
    if (!this.#staged) return this.#merge(frame);
    this.reset = frame.reset ?? this.reset;
    this.arriving = this.#staged.size;
    this.#notify({ put: [], del: [] });
  }

  /** Store a cursor: every subscription that the server knows is complete up to it. */
  bookmark(/** @type {string} */ cursor) {
    if (this.#awaitsReset || !this.#isConfirmed) return;
    if (this.#staged) this.#commitSnapshot();
    this.#cursor = cursor;
  }

  /** Note that the server has received the subscription. */
  acknowledge() {
    this.#isConfirmed = true;
  }

  finish() {
    if (this.#staged) this.#commitSnapshot();
    this.done = true;
    this.#notify({ put: [], del: [] });
  }

  refuse(/** @type {Refusal} */ error) {
    this.error = error;
    this.#notify({ put: [], del: [] });
    const again = () => this.error === error && this.#resubscribe();
    if (error.retry) setTimeout(again, 1_000 + Math.random() * 2_000);
  }

  #resubscribe() {
    this.#cursor = this.#staged = null;
    this.#awaitsReset = true;
    this.#send(this);
  }

  #restart() {
    this.#staged = new Map();
    this.#cursor = null;
    this.#awaitsReset = this.done = false;
    this.error = null;
  }

  #commitSnapshot() {
    this.items = this.#staged;
    this.#staged = null;
    this.arriving = 0;
    this.synced = true;
    this.#ranks = new Map([...this.items.values()].map((item) => [item.id, getRank(item)]));
    this.#order = null;
    this.truncated = this.wanted.limit !== undefined && this.items.size >= this.wanted.limit;
    this.#notify({ put: [...this.items.keys()], del: [], reset: this.reset });
  }

  #merge({ put = [], del = [] }) {
    for (const item of put) {
      if (this.#ranks.has(item.id)) continue;
      this.#ranks.set(item.id, getRank(item));
      this.#order = null;
    }
    for (const id of del) if (this.#ranks.delete(id)) this.#order = null;
    const cut = this.#trim();
    this.#notify({ put: put.map((item) => item.id), del: [...del, ...cut], told: { put, del } });
    if (this.truncated && this.items.size < this.wanted.limit * REFILL_SHARE) this.#refill();
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
    this.truncated = false; // until the new snapshot arrives: one request
    this.#resubscribe();
  }

  #notify(/** @type {Change} */ change) {
    this.#onChange?.(this, change);
  }
}

/** The first known time of an item in ms; later events do not move it. */
function getRank(item) {
  return Date.parse(item.received_at ?? item.submitted_at ?? item.started_at ?? item.updated_at) || 0;
}
