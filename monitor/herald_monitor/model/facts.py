"""What is told of a task as a whole, and who is believed about it."""

from __future__ import annotations

from herald_monitor.model.events import Event

SAYS = {"received": 0, "sent": 1, "submitted": 2, "inspect": 0, "backend": -1}
"""Who is believed about a fact: who sent the task, before who received it, before
what was stored of it."""

Fact = tuple[int, str | int]
"""How much it is believed (a later attempt more, but of a call the first), and the
value. Tags are one text, sorted and joined by TAG_SEPARATOR."""

CUSTOM_STATE = "custom_state"

TAG_SEPARATOR = "\x1f"

_LATEST = 255
"""The attempt from which on all are as late as each other."""

_END_OF_TIME = 1 << 49
"""In half milliseconds; after the year 9999."""

_FIRST_HEARD = (1 << 57) + (_LATEST << 49)
"""What an event tells of a first attempt."""


def facts_of_event(event: Event) -> dict[str, Fact]:
    """Return what `event` tells of its task as a whole."""
    if event.kind not in ("sent", "received") and event.source == "event":
        return {}
    facts: dict[str, Fact] = {}
    add_facts(facts, event)
    if event.custom_state is not None:
        # Stored one after the other: the latest counts.
        facts[CUSTOM_STATE] = (int(event.at * 1000), event.custom_state)
    return facts


def add_facts(facts: dict[str, Fact], event: Event) -> None:
    """Add to `facts` what `event` tells, where it is believed more."""
    says = SAYS.get(event.kind if event.source == "event" else event.source, 0)
    belief = 4 * (event.retries or 0) + says
    first = _firstness(event, says)
    # Field by field: a loop over their names takes twice as long.
    # What it was called with stays as it first was. `Task.replace` lets another call
    # run under the id of the first, and would mix the two; and with a chain or a
    # chord in its place a task would become the child of its own child.
    if (value := event.name) is not None:
        _believe(facts, "name", first, value)
    if (value := event.args) is not None:
        _believe(facts, "args", first, value)
    if (value := event.kwargs) is not None:
        _believe(facts, "kwargs", first, value)
    if (value := event.parent_id) is not None:
        _believe(facts, "parent_id", first, value)
    # Of the rest the latest attempt knows best.
    if (value := event.root_id) is not None:
        _believe(facts, "root_id", belief, value)
    if (value := event.queue) is not None:
        _believe(facts, "queue", belief, value)
    if (value := event.routing_key) is not None:
        _believe(facts, "routing_key", belief, value)
    if event.priority is not None:
        _believe(facts, "priority", belief, event.priority)
    if event.group_id is not None:
        # The last that was told: a task may run once more, in another group.
        place = ((belief + 2) << 49) + int(event.at * 1000)
        _believe(facts, "group_id", place, event.group_id)
    if event.tags:
        told = TAG_SEPARATOR.join(sorted(set(event.tags)))
        _believe(facts, "tags", belief, told)


def is_group_registered(facts: dict[str, Fact]) -> bool:
    """Return True if whoever sent the task told its group, not its result alone."""
    known = facts.get("group_id")
    return known is not None and ((known[0] >> 49) - 2) % 4 != SAYS["backend"] % 4


def _believe(facts: dict[str, Fact], field: str, belief: int, value: str | int) -> None:
    known = facts.get(field)
    # One field holds one type, so values compare.
    if known is None or (belief >= known[0] and (belief, value) > known):
        facts[field] = (belief, value)


def _firstness(event: Event, says: int) -> int:
    """Return how early in the life of its task `event` tells of a call.

    Who submitted it here is first; what the backend keeps is of the last call.
    Otherwise the earlier attempt, then the earlier time, then the sender.
    """
    earliness = _END_OF_TIME - int(event.at * 1000) * 2 + (says > 0)
    if event.source == "event" and not event.retries:
        return _FIRST_HEARD + earliness
    level = 2 if event.source == "submitted" else int(event.source != "backend")
    attempt = _LATEST - min(event.retries or 0, _LATEST)
    return (level << 57) + (attempt << 49) + earliness


def join_facts(a: dict[str, Fact], b: dict[str, Fact]) -> dict[str, Fact]:
    """Return what both know; `a` itself if `b` knows no more."""
    new = {k: v for k, v in b.items() if k not in a or v > a[k]}
    return {**a, **new} if new else a
