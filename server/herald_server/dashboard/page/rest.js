/** Questions over HTTP: what the live collections do not carry. */

import { learn } from "./clock.js";
import { base, held } from "./token.js";

/** An answer that is not a yes; its message is a sentence for people. */
export class Refused extends Error {
  constructor(status, message, body = null) {
    super(message);
    [this.status, this.body] = [status, body];
  }
}

export const read = (path) => ask("GET", path);
export const cancel = (id) => ask("POST", `api/v1/tasks/${encodeURIComponent(id)}/cancel`);
export const retry = (id, given = {}) => ask("POST", `api/v1/tasks/${encodeURIComponent(id)}/retry`, given);
export const dismiss = (hostname) => remove(`api/v1/workers/${encodeURIComponent(hostname)}`);
export const post = (path, body) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

async function ask(method, path, given) {
  const headers = { Accept: "application/json", Authorization: `Bearer ${held()}` };
  const body = given === undefined ? undefined : JSON.stringify(given);
  const answer = await send(new URL(path, base), { method, headers, body, cache: "no-store" });
  learn(answer.headers.get("date"));
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said ?? {};
  throw new Refused(answer.status, sentence(said, answer.status), said);
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new Refused(0, "The server cannot be reached; the page keeps trying to reconnect.");
  }
}

// RFC 9457: `detail` speaks of this case, `title` of its kind.
function sentence(problem, status) {
  return problem?.detail ?? problem?.title ?? `The server answered with status ${status}.`;
}
