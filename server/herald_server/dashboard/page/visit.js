/** What a screen holds on to while it is shown; all of it ends when one leaves. */

import { everySecond, soon } from "./dom.js";
import { read } from "./rest.js";

const AGAIN_S = 15; // how old an answer over HTTP may grow while nothing is heard

/** One showing of a screen. Screens get it as the second argument of `show`. */
export class Visit {
  #client;
  #ends = [];
  #over = false;

  /** @param {import("../herald/client.js").Client} client
   *  @param {import("./live.js").Live} live @param {import("./address.js").Place} place */
  constructor(client, live, place) {
    this.#client = client;
    this.live = live;
    this.place = place;
  }

  /** Follow a collection over the channel; `heard(collection, change)` after each frame. */
  follow(wanted, heard) {
    const mine = (collection, change) => this.#over || heard(collection, change);
    const collection = this.#client.subscribe(wanted, mine);
    this.onEnd(() => this.#client.unsubscribe(wanted.id));
    return collection;
  }

  /** Hear how the connection is, now and at each change. */
  observe(listener) {
    this.onEnd(this.#client.observe(listener));
  }

  /** Run `tick` each second while the page can be seen. */
  tick(tick) {
    this.onEnd(everySecond(tick));
  }

  /**
   * Ask over HTTP now, and again whenever `again()` is called or `every` seconds are
   * over (0: never), while the page can be seen. `show({value})` or `show({error})`.
   */
  ask(path, show, every = AGAIN_S) {
    const question = new Question(path, (answer) => this.#over || soon(() => this.#over || show(answer)), every);
    this.tick(() => question.tick());
    question.ask();
    return question;
  }

  /** Run `end` when the screen is left. */
  onEnd(end) {
    this.#ends.push(end);
  }

  end() {
    this.#over = true;
    for (const end of this.#ends.splice(0)) end();
  }
}

/** A question that is asked again, never twice at once. */
class Question {
  #path;
  #show;
  #every;
  #asking = false;
  #askedAt = 0;
  #wanted = false;

  constructor(path, show, every) {
    [this.#path, this.#show, this.#every] = [path, show, every];
  }

  /** Ask now, about `path` if given. */
  async ask(path = this.#path) {
    this.#path = path;
    this.#wanted = true;
    if (this.#asking) return;
    this.#asking = true;
    while (this.#wanted) await this.#once();
    this.#asking = false;
  }

  /** Ask once `seconds` have passed since the last time: for what changes often. */
  again(seconds = 2) {
    if (performance.now() - this.#askedAt >= 1_000 * seconds) this.ask();
  }

  tick() {
    if (this.#every) this.again(this.#every);
  }

  async #once() {
    this.#wanted = false;
    this.#askedAt = performance.now();
    const path = this.#path;
    const answer = await read(path).then((value) => ({ value }), (error) => ({ error }));
    if (path === this.#path) this.#show(answer);
  }
}
