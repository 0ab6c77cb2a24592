"""Decide whether a waiting task's queue has consumers, from workers and broker. Pure.

A worker that did not answer may consume every queue. "No worker" is only reported if
all live workers answered, or if the broker counts the consumers itself.
"""

from __future__ import annotations

from herald_core.model.workers.worker import DRAINING, ONLINE, SILENT
from herald_server.diagnosis.facts import TaskFacts

CONSUMED = "taken"
UNCONSUMED = "nobody"
PERHAPS_UNCONSUMED = "nobody_said_so"
UNKNOWN = "unknown"


def decide_consumers(facts: TaskFacts) -> str:
    """Return `CONSUMED`, `UNCONSUMED`, `PERHAPS_UNCONSUMED` (some did not answer) or
    `UNKNOWN`."""
    name, queue = facts.queue_name, facts.queue
    if facts.answers.consumers or any(name in q for q in facts.answers.queues.values()):
        return CONSUMED
    if queue and queue.consumer_count is not None:
        return CONSUMED if queue.consumer_count else UNCONSUMED
    if queue and queue.consumers:
        return CONSUMED
    if facts.answers.queues:
        return PERHAPS_UNCONSUMED if count_unanswered(facts) else UNCONSUMED
    return UNCONSUMED if queue and queue.consumers == () else UNKNOWN


def count_unanswered(facts: TaskFacts) -> int:
    """Return the number of possibly live workers that did not report their queues.

    A silent one may be busy, unless the monitor, which asked the broker for its
    connections, counts none.
    """
    counted = facts.queue is not None and facts.queue.consumers == ()
    states = (ONLINE, DRAINING) if counted else (ONLINE, DRAINING, SILENT)
    living = {one.hostname for one in facts.workers if one.state in states}
    return len(living - facts.answers.queues.keys())


def describe_unconsumed(facts: TaskFacts, decided: str) -> str:
    """Return a message about a queue without known consumers."""
    name = facts.queue_name
    if decided == PERHAPS_UNCONSUMED:
        return (
            f"{_count_answered(facts)} consumes the queue {name!r}; "
            f"{_describe_rest(facts)}."
        )
    if not facts.answers.queues:
        by_broker = facts.queue is not None and facts.queue.consumer_count is not None
        source = "the broker says" if by_broker else "as they said last"
        return f"No worker consumes the queue {name!r}, {source}."
    others = {q for queues in facts.answers.queues.values() for q in queues}
    listed = "others" if facts.narrow else ", ".join(sorted(others)) or "nothing"
    return f"No worker consumes the queue {name!r}; those that run consume {listed}."


def describe_consumers(facts: TaskFacts) -> str:
    """Return what is known about the consumers of the task's queue."""
    if decide_consumers(facts) == CONSUMED:
        return "workers consume that queue"
    return "whether a worker consumes that queue is not known: none has said so"


def _count_answered(facts: TaskFacts) -> str:
    if facts.narrow:
        return "No worker that answered"
    return f"None of the {len(facts.answers.queues)} that answered"


def _describe_rest(facts: TaskFacts) -> str:
    rest = count_unanswered(facts)
    if facts.narrow:
        return "others did not answer, and may do so"
    return f"{rest} did not answer, and may do so"
