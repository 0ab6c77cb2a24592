/** What Herald's numbers mean. Pure but for the clock. */

import { now } from "./clock.js";

/** How long a task has been running, in seconds; null if it has not started. */
export const running = (task) => (task.started_at ? Math.max(0, (now() - Date.parse(task.started_at)) / 1_000) : null);

/** Queues that need eyes first: nobody takes from them, then the deepest. */
export function byTrouble(queues) {
  const trouble = (queue) => (stranded(queue) ? 0 : doubtful(queue) ? 1 : orphaned(queue) ? 2 : 3);
  const rank = (queue) => [trouble(queue), -(queue.depth ?? 0)];
  return [...queues].sort((a, b) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1] || (a.name < b.name ? -1 : 1));
}

/** Whether it is known that nobody takes from this queue. */
export const orphaned = (queue) => consumers(queue) === 0;

/** Whether messages wait there that nobody takes. */
export const stranded = (queue) => queue.stranded ?? (orphaned(queue) && queue.depth > 0);

/** Whether messages wait there that nobody takes who answered, while some did not. */
export const doubtful = (queue) => queue.depth > 0 && !consumers(queue) && !orphaned(queue) && queue.unanswered > 0;

/** Who takes from a queue that may be without a consumer. */
export const partly = ({ answered, unanswered }) =>
  answered ? `None of the ${answered} that answered; ${unanswered} did not answer` : `${unanswered} did not answer`;

/** How many take from a queue; null if that is not known. */
export const consumers = (queue) => queue.consumers?.length ?? queue.consumer_count ?? null;

/** The progress that a task reported, 0–100, or null. */
export function share(progress) {
  if (Number.isFinite(progress?.percent)) return progress.percent;
  const { current, total } = progress ?? {};
  return Number.isFinite(current) && total > 0 ? Math.min(100, (100 * current) / total) : null;
}

/** When a task came up. */
export const born = (task) => task.received_at ?? task.submitted_at ?? task.started_at ?? task.updated_at;
