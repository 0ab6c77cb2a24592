/** The states of tasks and workers: their words, shapes and tones. */

/** @typedef {{word: string, shape: string, tone: string, means: string}} Look */

/** @type {Record<string, Look>} In the order of a task's life. */
export const STATES = {
  PENDING: look("Pending", "ring", "quiet", "submitted; no worker has said that it has it"),
  RECEIVED: look("Received", "inbox", "wait", "a worker has it and has not started it"),
  STARTED: look("Started", "play", "busy", "running"),
  RETRY: look("Retry", "again", "warn", "failed, and will run again"),
  SUCCESS: look("Success", "check", "good", "ended well"),
  FAILURE: look("Failure", "cross", "bad", "ended with an exception"),
  REVOKED: look("Revoked", "slash", "quiet", "canceled"),
  REJECTED: look("Rejected", "back", "quiet", "a worker refused it"),
  IGNORED: look("Ignored", "slash", "quiet", "ended in a state of its own, without a result"),
  LOST: look("Lost", "query", "lost", "nobody knows what became of it"),
};

const OTHERS = {
  UNKNOWN: look("Unknown", "query", "quiet", "never heard of"),
  EXPIRED: look("Expired", "ring", "quiet", "its record ran out"),
};

/** @type {Record<string, Look>} The ones that need eyes first. */
export const WORKERS = {
  silent: look("Silent", "warn", "bad", "no heartbeat when one was due"),
  draining: look("Draining", "half", "warn", "finishing what it has, taking no more"),
  online: look("Online", "dot", "good", "heartbeats arrive"),
  offline: look("Offline", "ring", "quiet", "it said good-bye"),
};

/** How a task's state looks; a state from a newer server keeps its own name. */
export function stateLook(state) {
  return STATES[state] ?? OTHERS[state] ?? look(state, "ring", "quiet", "");
}

export function workerLook(state) {
  return WORKERS[state] ?? look(state, "ring", "quiet", "");
}

function look(word, shape, tone, means) {
  return { word, shape, tone, means };
}
