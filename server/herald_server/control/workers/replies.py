"""What a worker's replies to a command mean for an order. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from herald_server.control.workers.commands import (
    DISABLE_EVENTS,
    ENABLE_EVENTS,
    WorkerCommand,
)
from herald_server.control.workers.evidence import Evidence
from herald_server.control.workers.outcomes import (
    NOT_VERIFIED,
    REFUSED,
    VERIFIED,
    VERIFY_TIMEOUT_S,
    Verdict,
)

SETTLE_TIMEOUT_S = 6.0
"""Seconds after which a refused shrink shows how much of it was done all the same."""

MAX_ERROR_CHARS = 300


def read_refusal(command: WorkerCommand, replies: Sequence[object]) -> Verdict | None:
    """Return the refusal in the replies to `command`, if there is one."""
    for reply in replies:
        error = _to_mapping(reply).get("error")
        if error is not None:
            return Verdict(REFUSED, _explain_error(command, str(error)))
    return None


def _explain_error(command: WorkerCommand, error: str) -> str:
    """Return a sentence about an error that a worker answered."""
    if "has no attribute" in error or "NotImplementedError" in error:
        return "The worker refused: its kind of pool cannot change its size."
    for part, sentence in EXPLANATIONS.items():
        if part in error:
            return f"The worker refused: {sentence}."
    return f"The worker refused {command.name}: {error[:MAX_ERROR_CHARS]}"


ALL_BUSY = "All processes busy"
"""The pool stopped the processes that were idle, and then refused."""

EXPLANATIONS = {
    "Pool restarts not enabled": (
        "pool restarts are off; set worker_pool_restarts = True and restart it"
    ),
    "not supported with autoscale": (
        "it scales its pool by itself; change the range with autoscale"
    ),
    "Autoscale not enabled": "it was started without --autoscale MAX,MIN",
    ALL_BUSY: "fewer processes than that are idle; wait for running tasks",
    "unknown task": "it registers no task of that name",
    "KeyError": "its version of Celery does not know this command",
}


def decide_repeat(command: WorkerCommand, replies: Sequence[object]) -> Verdict:
    """Return the outcome of a command that was sent twice.

    Celery shows nowhere whether events are enabled, but says so when asked again.
    """
    said = [str(_to_mapping(one).get("ok")) for one in replies]
    word = REPEATED[command.name]
    if not said:
        return Verdict(NOT_VERIFIED, "The worker did not answer when asked again.")
    if any(text != word for text in said):
        return Verdict(NOT_VERIFIED, f"Asked again, the worker said: {said[0][:200]}.")
    return Verdict(VERIFIED, SWITCHED[command.name])


REPEATED = {
    ENABLE_EVENTS: "task events already enabled",
    DISABLE_EVENTS: "task events already disabled",
}

SWITCHED = {
    ENABLE_EVENTS: "The worker sends task events.",
    DISABLE_EVENTS: (
        "The worker sends no task events, until somebody enables them: a monitor of "
        "Herald that receives Celery's events does so within 30 s."
    ),
}


def get_verify_timeout_s(refusal: Verdict | None) -> float:
    """Return the seconds for which the worker is asked whether it is as ordered."""
    if refusal is None:
        return VERIFY_TIMEOUT_S
    return SETTLE_TIMEOUT_S if EXPLANATIONS[ALL_BUSY] in refusal.message else 0.0


def merge_refusal(
    refusal: Verdict, verdict: Verdict, before: Evidence, after: Evidence
) -> Verdict:
    """Return the outcome of a refused command, of which a part may have been done."""
    if after.size is None or before.size == after.size:
        return refusal
    return Verdict(NOT_VERIFIED, f"{refusal.message} {verdict.message}")


def _to_mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
