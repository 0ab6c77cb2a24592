/**
 * A `WebSocket` of `herald.v1` for places where WebSockets are blocked: the same
 * frames, over event streams. One stream a subscription to tasks; a browser opens six
 * connections to a host at most, so counts, workers and queues are asked for instead.
 *
 * The cursor of a stream stands for that stream alone: its frames say `alone`.
 */

const ASK_MS = 3_000; // how often the topics are asked for
const PING_MS = 5_000; // how long an answer may take
const DEAD_MS = 40_000; // streams say something each 15 s; less is no answer to a ping
const REFUSALS = { 401: 4401, 403: 4403, 421: 4403 }; // HTTP's word → the close code's
const TOPICS = {
  counts: ["api/v1/stats", ({ counts }) => Object.entries(counts).map(([id, count]) => ({ id, count }))],
  workers: ["api/v1/workers", ({ workers }) => workers],
  queues: ["api/v1/queues", ({ queues }) => queues],
};

export class Streams {
  readyState = 0;
  onopen = null;
  onmessage = null;
  onclose = null;
  #base;
  #headers;
  #open = new Map(); // subscription → how to stop it
  #heardAt = Date.now();

  /** @param {string} url of the WebSocket that cannot be had @param {string} [token] */
  constructor(url, token) {
    this.#base = new URL(".", url.replace(/^ws/, "http"));
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
    this.#greet();
  }

  send(/** @type {string} */ text) {
    const frame = JSON.parse(text);
    if (frame.type === "ping") this.#ping();
    else if (frame.type === "subscribe") this.#subscribe(frame);
    else if (frame.type === "unsubscribe") this.#drop(frame.id);
  }

  close() {
    this.#end(1000, "");
  }

  // The server is asked, for it says nothing by itself for 15 s.
  async #ping() {
    try {
      await this.#get("healthz", AbortSignal.timeout(PING_MS));
    } catch {
      return; // no answer is no pong
    }
    if (this.readyState === 1 && Date.now() - this.#heardAt < DEAD_MS) this.#tell({ type: "pong" });
  }

  // Where nothing answers there is nothing to fall back to.
  async #greet() {
    try {
      await this.#get("healthz");
    } catch {
      return this.#end(1006, "");
    }
    if (this.readyState) return;
    this.readyState = 1;
    this.onopen?.({});
    this.#tell({ type: "hello", v: 1, heartbeat: 15 });
  }

  #subscribe({ id, topic = "tasks", ...wanted }) {
    this.#drop(id);
    const stop = new AbortController();
    this.#open.set(id, stop);
    const work = topic in TOPICS ? this.#ask(id, topic, stop.signal) : this.#stream(id, wanted, stop.signal);
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
      this.#heardAt = Date.now();
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) if (this.#hear(id, event)) return;
    }
    throw new Ended(1006, "");
  }

  // Returns whether the stream has come to its end for good.
  #hear(id, event) {
    const line = event.split("\n").find((each) => each.startsWith("data: "));
    if (!line) return false; // a comment
    const frame = JSON.parse(line.slice(6));
    if (frame.code === "closed") throw new Ended(frame.close ?? 1006, frame.message);
    this.#tell({ ...frame, id, alone: true });
    return frame.type === "done";
  }

  async #ask(id, topic, signal) {
    const [path, items] = TOPICS[topic];
    let said = "";
    while (!signal.aborted) {
      const put = [];
      let next;
      do {
        const answer = await (await this.#get(next ? `${path}?after=${encodeURIComponent(next)}` : path, signal)).json();
        put.push(...items(answer));
        next = answer.next;
      } while (next);
      this.#heardAt = Date.now();
      const now = JSON.stringify(put);
      if (now !== said) this.#tell({ type: "data", id, reset: "new", put, cursor: "0-0", alone: true });
      said = now;
      await pause(ASK_MS, signal);
    }
  }

  async #get(path, signal) {
    const answer = await fetch(new URL(path, this.#base), { headers: this.#headers, cache: "no-store", signal });
    if (answer.ok) return answer;
    const { detail = "" } = await answer.json().catch(() => ({}));
    throw new Ended(REFUSALS[answer.status] ?? 1006, detail);
  }

  #tell(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  #end(code, reason) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    for (const stop of this.#open.values()) stop.abort();
    this.onclose?.({ code, reason });
  }
}

class Ended extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
    this.reason = reason;
  }
}

// Hidden pages wait for as long as they are.
async function pause(ms, signal) {
  do await new Promise((resolve) => setTimeout(resolve, ms));
  while (!signal.aborted && globalThis.document?.hidden);
}
