/** A task as it is pushed, with what only the REST API tells. */

import { usePoll, useSecond, useSubscription } from "../../base/view/hooks.js";
import { useEffect } from "../../base/view/preact.js";

const REFRESH_S = 0.5; // least time between two reads of the attempts
const FINAL = ["SUCCESS", "FAILURE", "REVOKED", "REJECTED", "RETRY"];

/**
 * Return `{task, attempts, error, send, path}`; `subscription` is the name of the subscription.
 * @param {string} id @param {string} subscription
 */
export function useTask(id, subscription) {
  const path = `api/v1/tasks/${encodeURIComponent(id)}`;
  const collection = useSubscription({ id: subscription, filter: { ids: [id] } });
  const pushed = collection.items.get(id);
  const request = usePoll(path, 15);
  useSecond(); // ages and runtimes grow
  useEffect(() => void (pushed && request.refresh(REFRESH_S)), [pushed]);
  // Unknown and expired tasks are answered with 404 and what is known.
  const stored = request.value ?? (request.error?.body?.state ? request.error.body : null);
  const task = { id, ...stored, ...pushed };
  return { task, attempts: completeAttempts(task, stored?.attempts), error: pushed || stored ? null : request.error, known: Boolean(pushed || stored || request.error), send: request.send, path };
}

/** Return the attempts; the last one ends as its task did if no event reported its end. */
export function completeAttempts(task, found) {
  const last = found?.at(-1);
  const over = task?.final || task?.state === "LOST";
  if (!last || !over || FINAL.includes(last.state)) return found ?? [];
  const ended = task.final ? (task.finished_at ?? task.as_of) : task.as_of;
  return [...found.slice(0, -1), { ...last, state: task.state, finished_at: last.finished_at ?? ended }];
}
