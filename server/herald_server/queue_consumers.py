"""Whether anybody takes a task that waits, as far as workers and broker told. Pure.

A worker that did not answer may consume every queue, so "no worker" is only said if
all that live answered, or if the broker counts the consumers itself.
"""

from __future__ import annotations

from herald_monitor.model.queues import QueueImage
from herald_monitor.model.workers import DRAINING, ONLINE, SILENT
from herald_server.stuck_facts import Facts

TAKEN = "taken"
NOBODY = "nobody"
NOBODY_SAID_SO = "nobody_said_so"
UNKNOWN = "unknown"


def queue_name(facts: Facts) -> str:
    """Return the queue of the task, or the routing key that leads there."""
    return facts.task.queue or facts.task.routing_key or facts.default_queue


def measured(facts: Facts) -> QueueImage | None:
    """Return the task's queue as it was measured last."""
    return next((one for one in facts.queues if one.name == queue_name(facts)), None)


def decide_consumers(facts: Facts) -> str:
    """Return `TAKEN`, `NOBODY`, `NOBODY_SAID_SO` (some did not answer) or `UNKNOWN`."""
    name, seen = queue_name(facts), measured(facts)
    if facts.asked.takers or any(name in q for q in facts.asked.queues.values()):
        return TAKEN
    if seen and seen.consumer_count is not None:
        return TAKEN if seen.consumer_count else NOBODY
    if seen and seen.consumers:
        return TAKEN
    if facts.asked.queues:
        return NOBODY_SAID_SO if unheard(facts) else NOBODY
    return NOBODY if seen and seen.consumers == () else UNKNOWN


def unheard(facts: Facts) -> int:
    """Return how many workers that may live did not say what they consume.

    One that is silent may be busy, unless the monitor, which asked the broker for its
    connections, counts nobody.
    """
    seen = measured(facts)
    counted = seen is not None and seen.consumers == ()
    states = (ONLINE, DRAINING) if counted else (ONLINE, DRAINING, SILENT)
    living = {one.hostname for one in facts.workers if one.state in states}
    return len(living - facts.asked.queues.keys())


def say_nobody(facts: Facts, decided: str) -> str:
    """Return the sentence for a queue of which nobody is known to take."""
    name = queue_name(facts)
    if decided == NOBODY_SAID_SO:
        return f"{_count_answered(facts)} consumes the queue {name!r}; {_rest(facts)}."
    if not facts.asked.queues:
        seen = measured(facts)
        by_broker = seen is not None and seen.consumer_count is not None
        source = "the broker says" if by_broker else "as they said last"
        return f"No worker consumes the queue {name!r}, {source}."
    others = {q for queues in facts.asked.queues.values() for q in queues}
    listed = "others" if facts.narrow else ", ".join(sorted(others)) or "nothing"
    return f"No worker consumes the queue {name!r}; those that run consume {listed}."


def say_taken(facts: Facts) -> str:
    """Return what is known of who takes from the task's queue."""
    if decide_consumers(facts) == TAKEN:
        return "workers consume that queue"
    return "whether a worker consumes that queue is not known: none has said so"


def _count_answered(facts: Facts) -> str:
    if facts.narrow:
        return "No worker that answered"
    return f"None of the {len(facts.asked.queues)} that answered"


def _rest(facts: Facts) -> str:
    rest = unheard(facts)
    if facts.narrow:
        return "others did not answer, and may do so"
    return f"{rest} did not answer, and may do so"
