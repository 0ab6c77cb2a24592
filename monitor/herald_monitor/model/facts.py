"""What is told of a task as a whole, and who is believed about it."""

from __future__ import annotations

from operator import attrgetter

from herald_monitor.model.events import Event

CALL = ("name", "args", "kwargs", "parent_id")
"""What stays as it was when the task was first called. `Task.replace` lets another
call run under the id of the first, and would mix the two; and with a chain or a
chord in its place a task would become the child of its own child."""

STANDING = ("root_id", "group_id", "queue", "routing_key", "priority")
"""What the latest attempt knows best."""

FACTS = CALL + STANDING
"""What is told of a task as a whole, besides its tags."""

_facts_of = attrgetter(*FACTS)

SAYS = {"received": 0, "sent": 1, "submitted": 2, "inspect": 0, "backend": -1}
"""Who is believed about a fact: who sent the task, before who received it, before
what was stored of it."""

Fact = tuple[int, str | int]
"""How much it is believed (a later attempt more, but of a call the first), and the
value. Tags are one text, sorted and joined by TAG_SEPARATOR."""

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
    return facts


def add_facts(facts: dict[str, Fact], event: Event) -> None:
    """Add to `facts` what `event` tells, where it is believed more."""
    said_by = event.kind if event.source == "event" else event.source
    says = SAYS.get(said_by, 0)
    belief = 4 * (event.retries or 0) + says
    first = _firstness(event, says)
    trust = (first,) * len(CALL) + (belief,) * len(STANDING)
    for field, new, value in zip(FACTS, trust, _facts_of(event)):  # noqa: B905
        if value is not None:
            known = facts.get(field)
            # One field holds one type, so values compare.
            if known is None or new > known[0] or (new, value) > known:
                facts[field] = (new, value)
    if event.group_id is not None:
        # The last that was told: a task may run once more, in another group.
        group = (((belief + 2) << 49) + int(event.at * 1000), event.group_id)
        facts["group_id"] = max(group, facts.get("group_id", group))
    if event.tags:
        tags = (belief, TAG_SEPARATOR.join(sorted(set(event.tags))))
        facts["tags"] = max(tags, facts.get("tags", tags))


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
