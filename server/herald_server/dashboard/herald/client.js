/**
 * The connection to a Herald server: keeps itself open, resumes, and says how it is.
 *
 * @typedef {{id: string, [key: string]: any}} Item
 * @typedef {{id: string, since: string, until?: string, reason: string, state: string}} Gap
 * @typedef {"connecting"|"live"|"behind"|"silent"|"reconnecting"|"stale"|"resting"|"refused"|"closed"} Word  `silent`: the
 *   connection is open, but the server has not said a word for 6 s, nor answered a ping
 * @typedef {{word: Word, since: number, reason: string, code: number, lagMs: number|null,
 *            gaps: Gap[]|null, heardAt: number|null, way: "socket"|"streams"}} State  Times are ms
 *            since 1970; `way` is how frames travel.
 * @typedef {{code: string, message: string, retry?: boolean}} Refusal
 * @typedef {{put: string[], del: string[], reset?: string,
 *            told?: {put: Item[], del: string[]}}} Change  Ids that changed in `items`;
 *   `told` is what the server said, also of items beyond `limit`.
 * @typedef {{id: string, topic?: "tasks"|"workers"|"counts",
 *            filter?: Record<string, any>, limit?: number}} Wanted
 */

import { Collection } from "./collection.js";

const SUBPROTOCOL = "herald.v1";
const BEHIND_MS = 2_000; // lag from which "live" would be a lie
const PING_MS = 3_000; // how long the server may say nothing before it is asked
const SILENT_MS = 6_000; // and before "live" would be a lie
const DEAD_MS = 15_000; // and before the connection is given up
const STALE_MS = 5_000; // how long a lost connection may be called a blip
const WAKING = ["online", "visibilitychange"]; // a good moment to look again
const OPEN_MS = 10_000; // a handshake that takes longer will not come
const BLOCKED = 2; // handshakes that fail before streams are tried, if none ever came

/**
 * Open a connection that keeps itself open until `client.close()`.
 * @param {{url: string|URL, token?: string, protocols?: string[]}} options
 * @returns {Client}
 */
export function connect({ url, token, protocols = [] }) {
  const client = new Client(String(url), token, protocols);
  client.open();
  return client;
}

/** The connection, and what is subscribed to over it. */
export class Client {
  #url;
  #token;
  #protocols;
  #socket = null;
  #ready = false; // hello was heard on this socket
  #greeted = false; // hello was heard on any WebSocket
  #streamed = false; // or over streams
  #dials = 0;
  /** @type {any} The class of `streams.js`, once it was needed. */ #streams = null;
  #resting = false;
  #collections = new Map();
  #listeners = new Set();
  #shown = "";
  #tries = 0; // in a row, without success
  #pause = null; // what the server asked us to wait, ms
  #retry = 0;
  #pulse = 0;
  #heartbeat = 15; // seconds after which a server without news says something
  #unheard = 0; // pings that the server has not answered yet
  #pingedAt = 0;
  #openedAt = 0;
  #lostAt = Date.now();
  #heardAt = null;
  #staleAt = null;
  #lagMs = null;
  #gaps = null; // not told yet
  #reason = "";
  #ended = null; // "refused" or "closed", and since when
  #code = 0; // the close code of a refusal (4401: the token is not valid)

  constructor(url, token, protocols) {
    this.#url = url;
    this.#token = token;
    this.#protocols = protocols;
  }

  /** Follow a collection; `onChange(collection, change)` runs after each frame about it. */
  subscribe(/** @type {Wanted} */ wanted, onChange) {
    const collection = new Collection(wanted, (c) => this.#request(c), onChange);
    this.#collections.set(wanted.id, collection);
    this.#request(collection);
    return collection;
  }

  unsubscribe(/** @type {string} */ id) {
    if (this.#collections.delete(id)) this.#send({ type: "unsubscribe", id });
  }

  /** Hear of every change of `state`, and of the present one at once. Returns how to stop. */
  observe(/** @type {(state: State) => void} */ listener) {
    this.#listeners.add(listener);
    listener(this.state);
    return () => this.#listeners.delete(listener);
  }

  /** @returns {State} */
  get state() {
    const [word, since] = this.#judge();
    const reason = word === "live" ? "" : this.#reason;
    const [lagMs, gaps, heardAt] = [this.#lagMs, this.#gaps, this.#heardAt];
    const way = this.#streaming ? "streams" : "socket";
    return { word, since, reason, code: this.#code, lagMs, gaps, heardAt, way };
  }

  open() {
    if (this.#ended || this.#socket) return;
    this.#resting = false;
    clearTimeout(this.#retry);
    this.#pulse ||= setInterval(() => this.#check(), 1_000);
    for (const type of WAKING) globalThis.addEventListener?.(type, this.#nudge);
    this.#openedAt = Date.now();
    this.#unheard = 0;
    const socket = this.#dial();
    const mine = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = mine(() => this.#ask());
    socket.onmessage = mine(({ data }) => this.#read(data));
    socket.onclose = mine(({ code, reason }) => this.#lose(code, reason));
    this.#socket = socket;
  }

  close() {
    this.#stop("closed", "");
  }

  /** Hear nothing more until `open()`, which resumes: for a page that nobody sees. */
  rest() {
    if (this.#ended) return;
    const socket = this.#socket;
    if (socket) this.#lose(1000, "");
    clearTimeout(this.#retry); // nor go on trying
    this.#resting = true;
    socket?.close();
    this.#tell();
  }

  get #streaming() {
    return this.#streams !== null && this.#socket instanceof this.#streams;
  }

  // Some networks let no WebSocket through. A server that is away answers neither way.
  #dial() {
    const turn = this.#dials++;
    const streams = this.#streamed ? turn % 4 : turn >= BLOCKED && turn % 2 === 0;
    if (streams && this.#streams && !this.#greeted) return new this.#streams(this.#url, this.#token);
    if (turn === BLOCKED - 1) import("./streams.js").then((found) => (this.#streams = found.Streams), () => {});
    return new WebSocket(this.#url, [SUBPROTOCOL, ...bearer(this.#token), ...this.#protocols]);
  }

  #nudge = () => {
    this.#check();
    if (globalThis.document?.hidden !== true) this.open(); // no waiting out the pause
  };

  #ask() {
    for (const collection of this.#collections.values())
      if (!collection.done) this.#request(collection);
  }

  // A cursor stands for all subscriptions that the server knows when it sends it.
  // The answer to a ping tells that it has come to know this one.
  #request(collection) {
    this.#send(collection.request());
    this.#ping();
  }

  #ping() {
    if (!this.#send({ type: "ping" })) return;
    this.#unheard += 1;
    this.#pingedAt = Date.now();
  }

  #answered() {
    this.#unheard -= 1;
    if (this.#unheard) return;
    for (const collection of this.#collections.values()) collection.acknowledge();
  }

  #send(frame) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #read(data) {
    this.#heardAt = Date.now();
    try {
      this.#receive(JSON.parse(data));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#drop("The server sent something that is not JSON.");
    }
    this.#tell();
  }

  #receive(frame) {
    const collection = this.#collections.get(frame.id);
    if (frame.type === "hello") this.#greet(frame);
    else if (frame.type === "data") collection?.apply(frame);
    else if (frame.type === "pong") this.#answered();
    else if (frame.type === "done") collection?.finish();
    else if (frame.type === "error") this.#complain(collection, frame);
    else if (frame.type === "status") this.#note(frame);
    else if (frame.type === "bye") this.#pause = frame.reconnect_in_ms ?? null;
    if (frame.cursor) this.#bookmark(frame.cursor, frame.alone ? collection : null);
    this.#lagMs = frame.lag_ms ?? this.#lagMs;
  }

  #greet({ heartbeat }) {
    this.#ready = true;
    if (this.#streaming) this.#streamed = true;
    else this.#greeted = true;
    this.#heartbeat = heartbeat ?? this.#heartbeat;
    this.#lostAt = this.#heardAt;
    this.#reason = "";
  }

  #bookmark(cursor, alone) {
    this.#tries = 0; // only what moved us on counts as success
    for (const collection of alone ? [alone] : this.#collections.values()) collection.bookmark(cursor);
  }

  #complain(collection, error) {
    if (collection) collection.refuse(error);
    else this.#reason = error.message;
  }

  #note({ stale, gaps, problem = "" }) {
    this.#reason = problem;
    if (stale !== undefined) this.#staleAt = stale ? (this.#staleAt ?? Date.now()) : null;
    this.#gaps = gaps ?? this.#gaps;
  }

  #check() {
    if (this.#resting) return;
    const now = Date.now();
    const silent = now - this.#lastWord();
    const beat = 1_000 * this.#heartbeat;
    if (this.#ready && silent > Math.min(DEAD_MS, 2.5 * beat)) this.#drop("Nothing was heard from the server.", this.#lastWord());
    else if (this.#ready && silent > Math.min(PING_MS, beat) && now - this.#pingedAt > Math.min(PING_MS, beat)) this.#ping(); // a server without news is quiet
    else if (this.#socket && !this.#ready && now - this.#openedAt > OPEN_MS)
      this.#drop("The server does not answer.");
    this.#tell();
  }

  #lastWord() {
    return Math.max(this.#heardAt ?? 0, this.#openedAt);
  }

  #drop(reason, since = Date.now()) {
    const socket = this.#socket;
    this.#lose(4000, reason, since);
    socket?.close(); // late on a half-open line, so nobody waits for it
  }

  #lose(code, reason, since = Date.now()) {
    if (this.#ready) this.#lostAt = since;
    this.#socket = null;
    this.#ready = false;
    this.#staleAt = null;
    if (code >= 4400) return this.#stop("refused", reason || `Close code ${code}.`, code);
    this.#reason = reason || "The server cannot be reached.";
    // 3.2 s at most: whoever was away long is back soon, and 5,000 do not come at once.
    this.#tries = Math.min(this.#tries + 1, 5);
    const pause = this.#pause ?? 50 + Math.random() * 100 * 2 ** this.#tries;
    this.#pause = null;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.open(), pause);
    this.#tell();
  }

  #stop(word, reason, code = 0) {
    this.#ended = { word, since: Date.now() };
    this.#reason = reason;
    this.#code = code;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    clearTimeout(this.#retry);
    clearInterval(this.#pulse);
    for (const type of WAKING) globalThis.removeEventListener?.(type, this.#nudge);
    this.#tell();
  }

  #judge() {
    if (this.#ended) return [this.#ended.word, this.#ended.since];
    if (this.#resting) return ["resting", this.#lostAt];
    if (this.#ready && this.#staleAt) return ["stale", this.#staleAt];
    if (this.#ready && Date.now() - this.#lastWord() >= SILENT_MS) return ["silent", this.#lastWord()];
    if (this.#ready) return [(this.#lagMs ?? 0) > BEHIND_MS ? "behind" : "live", this.#lostAt];
    if (!this.#heardAt) return [this.#tries ? "reconnecting" : "connecting", this.#lostAt];
    const blip = Date.now() - this.#lostAt < STALE_MS;
    return blip ? ["reconnecting", this.#lostAt] : ["stale", this.#heardAt];
  }

  #tell() {
    const state = this.state;
    const shown = JSON.stringify({ ...state, heardAt: 0 });
    if (shown === this.#shown) return;
    this.#shown = shown;
    for (const listener of this.#listeners) listener(state);
  }
}

function bearer(token) {
  if (!token) return [];
  const bytes = String.fromCharCode(...new TextEncoder().encode(token));
  return ["bearer." + btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")];
}
