/**
 * The connection to a Herald server: it reconnects, resumes and reports its state.
 *
 * @typedef {{id: string, [key: string]: any}} Item
 * @typedef {{id: string, since: string, until?: string, reason: string, state: "open"|"closed"|"unrepairable", unrepaired?: string}} Gap
 * @typedef {"connecting"|"live"|"behind"|"silent"|"reconnecting"|"stale"|"resting"|"refused"|"closed"} Word  `silent`: the
 *   connection is open, but the server has sent nothing for 6 s and answered no ping
 * @typedef {{word: Word, since: number, reason: string, code: number, lagMs: number|null,
 *            gaps: Gap[]|null, heardAt: number|null, way: "socket"|"streams"}} State  Times are ms
 *            since 1970; `way` is how frames travel.
 * @typedef {{code: string, message: string, retry?: boolean}} Refusal
 * @typedef {{put: string[], del: string[], reset?: string,
 *            told?: {put: Item[], del: string[]}}} Change  Ids that changed in `items`;
 *   `told` is what the server sent, items beyond `limit` included.
 * @typedef {{id: string, topic?: "tasks"|"workers"|"queues"|"counts"|"failures"|"schedules"|"orders"|"marks"|"alerts",
 *            filter?: Record<string, any>, limit?: number}} Wanted
 */

import { Collection } from "./collection.js";
import { Token } from "./token.js";

const SUBPROTOCOL = "herald.v1";
const BEHIND_MS = 2_000; // lag from which the state is `behind`
const PING_MS = 3_000; // silence after which a ping is sent
const SILENT_MS = 6_000; // silence after which the state is `silent`
const DEAD_MS = 15_000; // silence after which the client reconnects
const STALE_MS = 5_000; // a longer loss makes the data stale
const RECONNECT_EVENTS = ["online", "visibilitychange"]; // reconnect at once on these events
const OPEN_MS = 10_000; // timeout of the handshake
const MAX_BLOCKED = 2; // failed handshakes after which streams are tried, if none ever succeeded

/**
 * Open a connection that reconnects until `client.close()`.
 * `renew` returns a new token, or a promise of one: it is called before the present one
 * ends (if it is a JWT, such as a minted one), and when the server refuses it.
 * @param {{url: string|URL, token?: string, protocols?: string[], renew?: () => string|Promise<string>}} options
 * @returns {Client}
 */
export function connect({ url, token, protocols = [], renew }) {
  const client = new Client(String(url), token, protocols, renew);
  client.open();
  return client;
}

/** The connection and its subscriptions. */
export class Client {
  #url;
  #token;
  #protocols;
  #socket = null;
  #isOpen = false; // hello was received on this connection
  #socketWorks = false; // hello was received on any WebSocket
  #streamsWork = false; // or over event streams
  #attempts = 0;
  /** @type {any} The class of `streams.js`, once it is needed. */ #streams = null;
  #resting = false;
  #collections = new Map();
  #listeners = new Set();
  #shown = "";
  #failures = 0; // in a row
  #pause = null; // pause that the server asked for, ms
  #retryTimer = 0;
  #checkTimer = 0;
  #heartbeat = 15; // seconds after which the server sends something
  #unansweredPings = 0; // pings without an answer
  #pingedAt = 0;
  #openedAt = 0;
  #wordSince = Date.now();
  #heardAt = null;
  #staleAt = null;
  #lagMs = null;
  #gaps = null; // not known yet
  #reason = "";
  #ended = null; // "refused" or "closed", and since when
  #code = 0; // the close code of a refusal (4401: the token is not valid)

  constructor(url, token, protocols, renew) {
    this.#url = url;
    this.#token = new Token(token, renew, (text) => this.#send({ type: "auth", token: text }));
    this.#protocols = protocols;
  }

  /** Subscribe to a collection; `onChange(collection, change)` runs after each of its frames. */
  subscribe(/** @type {Wanted} */ wanted, onChange) {
    const collection = new Collection(wanted, (c) => this.#request(c), onChange);
    this.#collections.set(wanted.id, collection);
    this.#request(collection);
    return collection;
  }

  unsubscribe(/** @type {string} */ id) {
    if (this.#collections.delete(id)) this.#send({ type: "unsubscribe", id });
  }

  /** Call `listener` with `state` now and after each change; returns a function that stops it. */
  observe(/** @type {(state: State) => void} */ listener) {
    this.#listeners.add(listener);
    listener(this.state);
    return () => this.#listeners.delete(listener);
  }

  /** @returns {State} */
  get state() {
    const [word, since] = this.#getWord();
    const reason = word === "live" ? "" : this.#reason;
    const [lagMs, gaps, heardAt] = [this.#lagMs, this.#gaps, this.#heardAt];
    const way = this.#streaming ? "streams" : "socket";
    return { word, since, reason, code: this.#code, lagMs, gaps, heardAt, way };
  }

  open() {
    if (this.#ended || this.#socket) return;
    this.#resting = false;
    clearTimeout(this.#retryTimer);
    this.#checkTimer ||= setInterval(() => this.#check(), 1_000);
    for (const type of RECONNECT_EVENTS) globalThis.addEventListener?.(type, this.#reconnectNow);
    this.#openedAt = Date.now();
    this.#unansweredPings = 0;
    const socket = this.#openSocket();
    const ifCurrent = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = ifCurrent(() => this.#subscribeAll());
    socket.onmessage = ifCurrent(({ data }) => this.#onMessage(data));
    socket.onclose = ifCurrent(({ code, reason }) => this.#onClose(code, reason));
    this.#socket = socket;
  }

  close() {
    this.#stop("closed", "");
  }

  /** Disconnect until `open()`, which resumes: for a hidden page. */
  rest() {
    if (this.#ended) return;
    const socket = this.#socket;
    if (socket) this.#onClose(1000, "");
    clearTimeout(this.#retryTimer); // and do not retry
    this.#resting = true;
    socket?.close();
    this.#notify();
  }

  get #streaming() {
    return this.#streams !== null && this.#socket instanceof this.#streams;
  }

  // Some networks block WebSockets. A server that is down answers neither way.
  #openSocket() {
    const turn = this.#attempts++;
    const streams = this.#streamsWork ? turn % 4 : turn >= MAX_BLOCKED && turn % 2 === 0;
    if (streams && this.#streams && !this.#socketWorks) return new this.#streams(this.#url, this.#token.text);
    if (turn === MAX_BLOCKED - 1) import("./streams.js").then((found) => (this.#streams = found.Streams), () => {});
    return new WebSocket(this.#url, [SUBPROTOCOL, ...createTokenProtocols(this.#token.text), ...this.#protocols]);
  }

  #reconnectNow = () => {
    this.#check();
    if (globalThis.document?.hidden !== true) this.open(); // without the rest of the pause
  };

  #subscribeAll() {
    for (const collection of this.#collections.values())
      if (!collection.done) this.#request(collection);
  }

  // A cursor covers all subscriptions that the server knew when it sent it.
  // The answer to a ping proves that it knows this one.
  #request(collection) {
    this.#send(collection.request());
    this.#ping();
  }

  #ping() {
    if (!this.#send({ type: "ping" })) return;
    this.#unansweredPings += 1;
    this.#pingedAt = Date.now();
  }

  #onPong() {
    this.#unansweredPings -= 1;
    if (this.#unansweredPings) return;
    for (const collection of this.#collections.values()) collection.acknowledge();
  }

  #send(frame) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #onMessage(data) {
    this.#heardAt = Date.now();
    this.#token.accept();
    try {
      this.#onFrame(JSON.parse(data));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#drop("The server sent something that is not JSON.");
    }
    this.#notify();
  }

  #onFrame(frame) {
    const collection = this.#collections.get(frame.id);
    if (frame.type === "hello") this.#onHello(frame);
    else if (frame.type === "data") collection?.apply(frame);
    else if (frame.type === "pong") this.#onPong();
    else if (frame.type === "done") collection?.finish();
    else if (frame.type === "error") this.#onError(collection, frame);
    else if (frame.type === "status") this.#onStatus(frame);
    else if (frame.type === "bye") this.#pause = frame.reconnect_in_ms ?? null;
    if (frame.cursor) this.#bookmark(frame.cursor, frame.alone ? collection : null);
    this.#lagMs = frame.lag_ms ?? this.#lagMs;
  }

  #onHello({ heartbeat }) {
    this.#isOpen = true;
    if (this.#streaming) this.#streamsWork = true;
    else this.#socketWorks = true;
    this.#heartbeat = heartbeat ?? this.#heartbeat;
    this.#wordSince = this.#heardAt;
    this.#reason = "";
  }

  #bookmark(cursor, alone) {
    this.#failures = 0; // only a cursor counts as success
    for (const collection of alone ? [alone] : this.#collections.values()) collection.bookmark(cursor);
  }

  #onError(collection, error) {
    if (collection) collection.refuse(error);
    else this.#reason = error.message;
  }

  #onStatus({ stale, gaps, problem = "" }) {
    this.#reason = problem;
    if (stale !== undefined) this.#staleAt = stale ? (this.#staleAt ?? Date.now()) : null;
    this.#gaps = gaps ?? this.#gaps;
  }

  #check() {
    if (this.#resting) return;
    this.#token.renewIfDue();
    const now = Date.now();
    const silent = now - this.#lastReceivedAt();
    const heartbeatMs = 1_000 * this.#heartbeat;
    if (this.#isOpen && silent > Math.min(DEAD_MS, 2.5 * heartbeatMs)) this.#drop("The server sent nothing.", this.#lastReceivedAt());
    else if (this.#isOpen && silent > Math.min(PING_MS, heartbeatMs) && now - this.#pingedAt > Math.min(PING_MS, heartbeatMs)) this.#ping(); // a server without changes is silent
    else if (this.#socket && !this.#isOpen && now - this.#openedAt > OPEN_MS)
      this.#drop("The server does not answer.");
    this.#notify();
  }

  #lastReceivedAt() {
    return Math.max(this.#heardAt ?? 0, this.#openedAt);
  }

  #drop(reason, since = Date.now()) {
    const socket = this.#socket;
    this.#onClose(4000, reason, since);
    socket?.close(); // takes long on a half-open connection: not awaited
  }

  #onClose(code, reason, since = Date.now()) {
    if (this.#isOpen) this.#wordSince = since;
    this.#socket = null;
    this.#isOpen = false;
    this.#staleAt = null;
    if (code === 4401 && this.#token.canReplaceRefused) return this.#replaceToken(reason);
    if (code >= 4400) return this.#stop("refused", reason || `Close code ${code}.`, code);
    this.#reason = reason || "The server cannot be reached.";
    // At most 3.2 s, with jitter: 5,000 clients do not reconnect at once.
    this.#failures = Math.min(this.#failures + 1, 5);
    const pause = this.#pause ?? 50 + Math.random() * 100 * 2 ** this.#failures;
    this.#pause = null;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.open(), pause);
    this.#notify();
  }

  // The token was refused: connect with another one, or be refused.
  async #replaceToken(reason) {
    this.#reason = reason;
    this.#notify();
    try {
      await this.#token.replace();
    } catch (error) {
      return this.#stop("refused", String(error?.message ?? error), 4401);
    }
    this.open();
  }

  #stop(word, reason, code = 0) {
    this.#ended = { word, since: Date.now() };
    this.#reason = reason;
    this.#code = code;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    clearTimeout(this.#retryTimer);
    clearInterval(this.#checkTimer);
    for (const type of RECONNECT_EVENTS) globalThis.removeEventListener?.(type, this.#reconnectNow);
    this.#notify();
  }

  #getWord() {
    if (this.#ended) return [this.#ended.word, this.#ended.since];
    if (this.#resting) return ["resting", this.#wordSince];
    if (this.#isOpen && this.#staleAt) return ["stale", this.#staleAt];
    if (this.#isOpen && Date.now() - this.#lastReceivedAt() >= SILENT_MS) return ["silent", this.#lastReceivedAt()];
    if (this.#isOpen) return [(this.#lagMs ?? 0) > BEHIND_MS ? "behind" : "live", this.#wordSince];
    if (!this.#heardAt) return [this.#failures ? "reconnecting" : "connecting", this.#wordSince];
    const isShort = Date.now() - this.#wordSince < STALE_MS;
    return isShort ? ["reconnecting", this.#wordSince] : ["stale", this.#heardAt];
  }

  #notify() {
    const state = this.state;
    const shown = JSON.stringify({ ...state, heardAt: 0 });
    if (shown === this.#shown) return;
    this.#shown = shown;
    for (const listener of this.#listeners) listener(state);
  }
}

function createTokenProtocols(token) {
  if (!token) return [];
  const bytes = String.fromCharCode(...new TextEncoder().encode(token));
  return ["bearer." + btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")];
}
