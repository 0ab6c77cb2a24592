"""The delivery that represents a task, and its attempt. Pure.

The image never goes back as events arrive. A later delivery takes over when it is
started. A final state is left only for a delivery that was started after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.tasks.deliveries import Delivery


def select_delivery(runs: Sequence[Delivery]) -> Delivery:
    """Return the delivery that decides a task's state: one of its latest attempt.

    Only a delivery that started later replaces an outcome. A success is final, as in
    Celery's result backends: neither a failure of another delivery nor a waiting later
    attempt replaces it. A message that a worker only received changes nothing while
    another delivery runs. `runs` is not empty.
    """
    if len(runs) == 1:
        return runs[0]
    latest = [r for r in runs if r.retries == runs[-1].retries]
    begun = [r for r in latest if was_attempted(r)]
    if not begun:
        return _select_waiting(latest, runs)
    newest = begun[-1]
    success = max(filter(_is_succeeded, runs), key=_get_number, default=None)
    if success is not None:
        if newest.is_running and _is_started_after_end(newest, success):
            return newest
        return _prefer_redelivery(success, newest, latest)
    over = [r for r in begun if r.is_final]
    if over:
        # Once a later delivery was shown, an earlier one that runs is not shown again.
        after = any(_is_started_later(r, over[-1]) for r in begun)
        return newest if after else over[-1]
    return newest if newest.is_running else _find_redelivery(newest, latest)


def get_public_attempt(run: Delivery, runs: Sequence[Delivery]) -> int:
    """Return the public attempt of a task whose state is read from `run`.

    It is the latest that was started. A finished delivery may represent the task
    although another was started since, and the attempt never goes back. A message that
    was returned to the queue waits for the next attempt.
    """
    if not run.is_started or run.is_requeued:
        return run.next_attempt
    latest = [r for r in runs if r.retries == runs[-1].retries]
    since = min(r.announced_at for r in latest)
    # Copies of an earlier attempt are not shown once a later attempt is known.
    begun = [
        r.attempt
        for r in runs
        if was_attempted(r) and (r.retries == latest[0].retries or r.position < since)
        if r.retries >= run.retries
    ]
    return max([run.attempt, *begun])


def was_attempted(run: Delivery) -> bool:
    """Return True if `run` reached the task's code, or was requeued."""
    return run.was_executed or (run.end is not None and not run.is_final)


def _select_waiting(latest: Sequence[Delivery], runs: Sequence[Delivery]) -> Delivery:
    """Return the public delivery if no worker has started the `latest` attempt."""
    success = max(filter(_is_succeeded, runs), key=_get_number, default=None)
    if success is not None and _is_success_final(success, latest, runs):
        return success
    over = [r for r in latest if r.is_final]
    return (over or sorted(latest, key=lambda r: r.opened_at_ms))[-1]


def _is_success_final(
    success: Delivery, latest: Sequence[Delivery], runs: Sequence[Delivery]
) -> bool:
    """Return True if no event since `success` replaces it."""
    if success.last.arrived_at_ms > min(r.announced_at for r in latest)[0]:
        # It is shown once this attempt is over, too.
        return False
    return not any(
        r.number > success.number and _is_started_after_end(r, success) for r in runs
    )


def _is_started_later(run: Delivery, over: Delivery) -> bool:
    """Return True if `run` was started after `over`, and is not finished itself.

    A requeued delivery waits for others. The clocks of two workers cannot decide if it
    was requeued after the end of `over`. A retry is a message of its own.
    """
    if run.is_final:
        return False
    if run.boot == over.boot:
        return run.number > over.number
    continues = run.is_running or run.last.kind == "retried"
    return continues and run.position[0] > over.position[0]


def _prefer_redelivery(
    success: Delivery, top: Delivery, latest: Sequence[Delivery]
) -> Delivery:
    """Return `success`, unless a later attempt was shown to wait before it came."""
    if top.is_running or top.is_final:
        return success
    waits = _find_redelivery(top, latest)
    return (
        waits
        if waits is not top and waits.opened_at_ms < success.last.arrived_at_ms
        else success
    )


def _find_redelivery(top: Delivery, latest: Sequence[Delivery]) -> Delivery:
    """Return the delivery that received the message that `top` requeued, or `top`."""
    assert top.end is not None, "what was handed back has an end"
    if any(r.is_running for r in latest):
        # `top` may end before a worker starts the message that waits there.
        return top
    since = [
        r
        for r in latest
        if not r.is_started
        and (
            r.first.clock > top.end.clock
            if r.boot == top.boot
            else r.opened_at_ms >= top.end.arrived_at_ms
        )
    ]
    return max(since, key=lambda r: r.opened_at_ms, default=top)


def _get_number(run: Delivery) -> int:
    return run.number


def _is_succeeded(run: Delivery) -> bool:
    return run.end is not None and run.end.kind == "succeeded"


def _is_started_after_end(run: Delivery, over: Delivery) -> bool:
    """Return True if `run` certainly started after the end of `over`."""
    end, start = over.end, run.started
    if start is None or end is None:
        return False
    if run.boot == over.boot:
        return start.clock > end.clock
    return start.arrived_at_ms > end.arrived_at_ms
