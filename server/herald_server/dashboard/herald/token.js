/** The token of a client, and when it is renewed. */

const RENEW_MS = 60_000; // before its end, at most
const RENEW_SHARE = 0.2; // or this share of the time it has left
const RETRY_MS = 5_000; // after a renewal that failed

export class Token {
  #renew;
  #send;
  #renewAt;
  #running = null;
  #isFresh = false; // renewed, and not accepted yet

  /**
   * @param {string|undefined} text @param {(() => string|Promise<string>)|undefined} renew
   * @param {(text: string) => void} send gives a new one to the open connection
   */
  constructor(text, renew, send) {
    this.text = text;
    this.#renew = renew;
    this.#send = send;
    this.#renewAt = this.#findRenewal();
  }

  /** Whether another token may help after a refusal of this one. */
  get canReplaceRefused() {
    return Boolean(this.#renew) && !this.#isFresh;
  }

  /** Note that the server took it: a later refusal may be its end. */
  accept() {
    this.#isFresh = false;
  }

  /** Get a new one before the end of this one. */
  renewIfDue() {
    if (Date.now() < this.#renewAt) return;
    this.replace().then(() => this.#send(this.text), () => (this.#renewAt = Date.now() + RETRY_MS));
  }

  /** Get a new one; callers at the same time share the request. */
  replace() {
    this.#running ??= this.#ask().finally(() => (this.#running = null));
    return this.#running;
  }

  async #ask() {
    this.text = await this.#renew();
    this.#isFresh = true;
    this.#renewAt = this.#findRenewal();
  }

  #findRenewal() {
    const end = this.#renew ? readExpiry(this.text) : Infinity;
    return end - Math.min(RENEW_MS, Math.max(end - Date.now(), 0) * RENEW_SHARE);
  }
}

// The end of a JWT in ms; Infinity if the token does not say so.
function readExpiry(text = "") {
  try {
    const { exp } = JSON.parse(atob(text.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return typeof exp === "number" ? 1_000 * exp : Infinity;
  } catch {
    return Infinity;
  }
}
