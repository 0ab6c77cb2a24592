/** Requests to the REST API, for what the live collections do not carry. */

import { syncClock } from "./clock.js";
import { BASE_URL, makeAuthHeaders } from "./token.js";

/** A request that failed; its message can be shown to people. */
class HttpError extends Error {
  constructor(status, message, body = null) {
    super(message);
    [this.status, this.body] = [status, body];
  }
}

export const get = (path) => request("GET", path);
export const cancelTask = (id) => request("POST", `api/v1/tasks/${encodeURIComponent(id)}/cancel`);
export const retryTask = (id, body = {}) => request("POST", `api/v1/tasks/${encodeURIComponent(id)}/retry`, body);
export const dismissWorker = (hostname) => remove(`api/v1/workers/${encodeURIComponent(hostname)}`);
export const post = (path, body) => request("POST", path, body);
export const remove = (path) => request("DELETE", path);

async function request(method, path, payload) {
  const headers = { Accept: "application/json", ...makeAuthHeaders() };
  const body = payload === undefined ? undefined : JSON.stringify(payload);
  const response = await send(new URL(path, BASE_URL), { method, headers, body, cache: "no-store" });
  syncClock(response.headers.get("date"));
  const content = await response.json().catch(() => null);
  if (response.ok) return content ?? {};
  throw new HttpError(response.status, describeProblem(content, response.status), content);
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new HttpError(0, "The server cannot be reached; the page keeps trying to reconnect.");
  }
}

// RFC 9457: `detail` describes this case, `title` its kind.
function describeProblem(problem, status) {
  return problem?.detail ?? problem?.title ?? `The server answered with status ${status}.`;
}
