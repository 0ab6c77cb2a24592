/** Values computed from tasks, queues and the connection. Pure but for the clock. */

import { now } from "./clock.js";

/** Return the seconds since a task started; null if it has not. */
export const getElapsed = (task) => (task.started_at ? Math.max(0, (now() - Date.parse(task.started_at)) / 1_000) : null);

/** Return the queues without a consumer first, then the deepest. */
export function sortByProblem(queues) {
  const urgency = (queue) => (isStranded(queue) ? 0 : mayBeStranded(queue) ? 1 : hasNoConsumer(queue) ? 2 : 3);
  const rank = (queue) => [urgency(queue), -(queue.depth ?? 0)];
  return [...queues].sort((a, b) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1] || (a.name < b.name ? -1 : 1));
}

/** Return whether the queue is known to have no consumer, though nobody paused it. */
export const hasNoConsumer = (queue) => !queue.paused && countConsumers(queue) === 0;

/** Return whether messages wait in a queue without a consumer. */
export const isStranded = (queue) => queue.stranded ?? (hasNoConsumer(queue) && queue.depth > 0);

/** Return whether messages wait, no worker that answered consumes them, and some did not answer. */
export const mayBeStranded = (queue) => queue.depth > 0 && !queue.paused && !countConsumers(queue) && !hasNoConsumer(queue) && queue.unanswered > 0;

/** Describe the workers of a queue that may have no consumer. */
export const describeUnanswered = ({ answered, unanswered }) =>
  answered ? `None of the ${answered} that answered; ${unanswered} did not answer` : `${unanswered} did not answer`;

/** Return the number of consumers; null if it is not known. */
export const countConsumers = (queue) => queue.consumers?.length ?? queue.consumer_count ?? null;

/** Return the progress that a task reported, 0–100, or null. */
export function getPercent(progress) {
  if (Number.isFinite(progress?.percent)) return progress.percent;
  const { current, total } = progress ?? {};
  return Number.isFinite(current) && total > 0 ? Math.min(100, (100 * current) / total) : null;
}

/** Return the first known time of a task. */
export const getCreatedAt = (task) => task.received_at ?? task.submitted_at ?? task.started_at ?? task.updated_at;

const REPORT_MS = 2_500; // the server sends something every two seconds

/** Return the age of the shown data in ms, growing while the server is silent; null if unknown. */
export function getDataAge({ word, lagMs, heardAt }) {
  if (!["live", "behind", "silent"].includes(word) || lagMs === null) return null;
  const silence = Date.now() - (heardAt ?? Date.now());
  return silence > REPORT_MS ? lagMs + silence : lagMs;
}
