/**
 * A substitute for the WebSocket where WebSockets are blocked: the same frames over
 * event streams, one for each subscription to tasks. A browser opens at most six
 * connections to a host, so all other topics are polled.
 *
 * A cursor covers its own stream only: such frames are marked `alone`.
 */

const POLL_MS = 3_000; // interval between two polls of a topic
const PING_MS = 5_000; // timeout of a ping
const DEAD_MS = 40_000; // streams send something every 15 s
const REFUSALS = { 401: 4401, 403: 4403, 421: 4403 }; // HTTP status → close code
const TOPICS = {
  counts: ["api/v1/stats", ({ counts }) => Object.entries(counts).map(([id, count]) => ({ id, count }))],
  workers: ["api/v1/workers", ({ workers }) => workers],
  queues: ["api/v1/queues", ({ queues }) => queues],
  failures: ["api/v1/failures", ({ failures }) => failures],
  schedules: ["api/v1/schedules", ({ schedules }) => schedules],
  orders: ["api/v1/orders", ({ orders }) => orders],
  marks: ["api/v1/marks", ({ marks }) => marks],
  alerts: ["api/v1/alerts", ({ alerts }) => alerts],
};

export class Streams {
  readyState = 0;
  onopen = null;
  onmessage = null;
  onclose = null;
  #base;
  #headers;
  #open = new Map(); // subscription → how to stop it
  #receivedAt = Date.now();

  /** @param {string} url of the blocked WebSocket @param {string} [token] */
  constructor(url, token) {
    this.#base = new URL(".", url.replace(/^ws/, "http"));
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
    this.#connect();
  }

  send(/** @type {string} */ text) {
    const frame = JSON.parse(text);
    if (frame.type === "ping") this.#ping();
    else if (frame.type === "subscribe") this.#subscribe(frame);
    else if (frame.type === "unsubscribe") this.#drop(frame.id);
    else if (frame.type === "auth") this.#headers = { Authorization: `Bearer ${frame.token}` };
  }

  close() {
    this.#end(1000, "");
  }

  // The stream itself is silent for up to 15 s.
  async #ping() {
    try {
      await this.#get("healthz", AbortSignal.timeout(PING_MS));
    } catch {
      return; // no answer: no pong
    }
    if (this.readyState === 1 && Date.now() - this.#receivedAt < DEAD_MS) this.#deliver({ type: "pong" });
  }

  // Without an answer to HTTP there is no fallback.
  async #connect() {
    try {
      await this.#get("healthz");
    } catch {
      return this.#end(1006, "");
    }
    if (this.readyState) return;
    this.readyState = 1;
    this.onopen?.({});
    this.#deliver({ type: "hello", v: 1, heartbeat: 15 });
  }

  #subscribe({ id, topic = "tasks", ...wanted }) {
    this.#drop(id);
    const stop = new AbortController();
    this.#open.set(id, stop);
    const work = topic in TOPICS ? this.#poll(id, topic, stop.signal) : this.#stream(id, wanted, stop.signal);
    work.catch((error) => stop.signal.aborted || this.#end(error.code ?? 1006, error.reason ?? ""));
  }

  #drop(id) {
    this.#open.get(id)?.abort();
    this.#open.delete(id);
  }

  async #stream(id, { filter = {}, fields, limit, mode, since }, signal) {
    const query = new URLSearchParams(Object.entries({ fields, limit, mode, since }).filter(([, value]) => value !== undefined).map(([key, value]) => [key, String(value)]));
    for (const [key, values] of Object.entries(filter)) for (const value of [values].flat()) query.append(key, value);
    const answer = await this.#get(`events?${query}`, signal);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      this.#receivedAt = Date.now();
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) if (this.#onEvent(id, event)) return;
    }
    throw new StreamEnded(1006, "");
  }

  // Return whether the stream is done.
  #onEvent(id, event) {
    const dataLine = event.split("\n").find((each) => each.startsWith("data: "));
    if (!dataLine) return false; // a comment
    const frame = JSON.parse(dataLine.slice(6));
    if (frame.code === "closed") throw new StreamEnded(frame.close ?? 1006, frame.message);
    this.#deliver({ ...frame, id, alone: true });
    return frame.type === "done";
  }

  async #poll(id, topic, signal) {
    const [path, items] = TOPICS[topic];
    let lastContent = "";
    while (!signal.aborted) {
      const put = [];
      let next;
      do {
        const answer = await (await this.#get(next ? `${path}?after=${encodeURIComponent(next)}` : path, signal)).json();
        put.push(...items(answer));
        next = answer.next;
      } while (next);
      this.#receivedAt = Date.now();
      const now = JSON.stringify(put);
      if (now !== lastContent) this.#deliver({ type: "data", id, reset: "new", put, cursor: "0-0", alone: true });
      lastContent = now;
      await pause(POLL_MS, signal);
    }
  }

  async #get(path, signal) {
    const answer = await fetch(new URL(path, this.#base), { headers: this.#headers, cache: "no-store", signal });
    if (answer.ok) return answer;
    const { detail = "" } = await answer.json().catch(() => ({}));
    throw new StreamEnded(REFUSALS[answer.status] ?? 1006, detail);
  }

  #deliver(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  #end(code, reason) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    for (const stop of this.#open.values()) stop.abort();
    this.onclose?.({ code, reason });
  }
}

class StreamEnded extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
    this.reason = reason;
  }
}

// Hidden pages wait until they are visible.
async function pause(ms, signal) {
  do await new Promise((resolve) => setTimeout(resolve, ms));
  while (!signal.aborted && globalThis.document?.hidden);
}
