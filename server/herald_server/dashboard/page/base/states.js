/** The states of tasks and workers: their labels, icons and tones. */

/** @typedef {{label: string, icon: string, tone: string, means: string}} Look */

/** @type {Record<string, Look>} In the order of a task's lifecycle. */
export const STATES = {
  PENDING: createLook("Pending", "ring", "quiet", "submitted; no worker has reported it yet"),
  RECEIVED: createLook("Received", "inbox", "wait", "received by a worker, not started"),
  STARTED: createLook("Started", "play", "busy", "running"),
  RETRY: createLook("Retry", "again", "warn", "failed; will be retried"),
  SUCCESS: createLook("Success", "check", "good", "finished successfully"),
  FAILURE: createLook("Failure", "cross", "bad", "failed with an exception"),
  REVOKED: createLook("Revoked", "slash", "quiet", "canceled"),
  REJECTED: createLook("Rejected", "back", "quiet", "rejected by a worker"),
  IGNORED: createLook("Ignored", "slash", "quiet", "finished in a custom state, without a result"),
  LOST: createLook("Lost", "query", "lost", "outcome unknown"),
};

const OTHERS = {
  UNKNOWN: createLook("Unknown", "query", "quiet", "no event of this task was received"),
  EXPIRED: createLook("Expired", "ring", "quiet", "its record has expired"),
};

/** @type {Record<string, Look>} The most urgent first. */
const WORKERS = {
  silent: createLook("Silent", "warn", "bad", "heartbeats are overdue"),
  draining: createLook("Draining", "half", "warn", "finishing its tasks, accepting no more"),
  online: createLook("Online", "dot", "good", "heartbeats arrive"),
  offline: createLook("Offline", "ring", "quiet", "it has shut down"),
};

/** Return the look of a task's state; a state of a newer server keeps its name. */
export function getStateLook(state) {
  return STATES[state] ?? OTHERS[state] ?? createLook(state, "ring", "quiet", "");
}

/** Return the look of a worker's state. */
export function getWorkerLook(state) {
  return WORKERS[state] ?? createLook(state, "ring", "quiet", "");
}

/** Return the workers, the most urgent first. */
export function sortWorkers(workers) {
  const order = Object.keys(WORKERS);
  return [...workers].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.id < b.id ? -1 : 1));
}

function createLook(label, icon, tone, means) {
  return { label, icon, tone, means };
}
