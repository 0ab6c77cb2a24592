"""The attributes of a task, and the precedence of their sources."""

from __future__ import annotations

from herald_core.model.events.event import Event

PRECEDENCE = {"received": 0, "sent": 1, "submitted": 2, "inspect": 0, "backend": -1}
"""The precedence of sources: the sender of the task, then its receiver, then the result
backend."""

Attribute = tuple[int, str | int]
"""The precedence (a later attempt is higher, but for a call the first), and the value.
Tags are one text, sorted and joined by TAG_SEPARATOR, stamps one of JSON."""

CUSTOM_STATE = "custom_state"

TAG_SEPARATOR = "\x1f"

INDEX_TERMS = "index"
"""Tags that are made of declared arguments; they come from the call that is shown."""

_MAX_RANK = 255
"""The attempt from which on all are as late as each other."""

_MAX_TIME_MS = 1 << 49
"""In half milliseconds; after the year 9999."""

_FROM_OTHERS = -(1 << 60)
"""Added to the precedence of groups and tags that Herald did not send itself: what it
started is listed where it was started, whatever events say."""

_MAX_PRECEDENCE = (1 << 57) + (_MAX_RANK << 49)
"""The attributes in an event of a first attempt."""


def extract_attributes(event: Event) -> dict[str, Attribute]:
    """Return the task attributes that `event` carries."""
    if event.kind not in ("sent", "received") and event.source == "event":
        return {}
    facts: dict[str, Attribute] = {}
    merge_attributes(facts, event)
    if event.custom_state is not None:
        # Stored one after the other: the latest counts.
        facts[CUSTOM_STATE] = (int(event.at * 1000), event.custom_state)
    return facts


def merge_attributes(facts: dict[str, Attribute], event: Event) -> None:
    """Add to `facts` the attributes of `event` that have a higher precedence."""
    says = PRECEDENCE.get(event.kind if event.source == "event" else event.source, 0)
    belief = 4 * (event.retries or 0) + says
    # The precedence of a call: the sender through Herald is first, the backend
    # describes the last call. Otherwise the earlier attempt wins, then the earlier
    # time, then the sender.
    earliness = _MAX_TIME_MS - int(event.at * 1000) * 2 + (says > 0)
    if event.source == "event" and not event.retries:
        first = _MAX_PRECEDENCE + earliness
    else:
        level = 2 if event.source == "submitted" else int(event.source != "backend")
        attempt = _MAX_RANK - min(event.retries or 0, _MAX_RANK)
        first = (level << 57) + (attempt << 49) + earliness
    # Fields are compared one by one: a loop over their names takes twice as long. The
    # arguments of the first call stay. `Task.replace` runs another call under the same
    # id, and would mix the two. With a chain or a chord in its place a task would
    # become the child of its own child.
    if (value := event.name) is not None:
        _merge_attribute(facts, "name", first, value)
    if (value := event.args) is not None:
        _merge_attribute(facts, "args", first, value)
    if (value := event.kwargs) is not None:
        _merge_attribute(facts, "kwargs", first, value)
    if (value := event.parent_id) is not None:
        _merge_attribute(facts, "parent_id", first, value)
    if event.index_terms:
        told = TAG_SEPARATOR.join(event.index_terms)
        _merge_attribute(facts, INDEX_TERMS, first, told)
    # The latest attempt has the best values of the other fields.
    if (value := event.root_id) is not None:
        _merge_attribute(facts, "root_id", belief, value)
    if (value := event.queue) is not None:
        _merge_attribute(facts, "queue", belief, value)
    if (value := event.routing_key) is not None:
        _merge_attribute(facts, "routing_key", belief, value)
    if event.priority is not None:
        _merge_attribute(facts, "priority", belief, event.priority)
    if event.group_id is not None:
        _merge_group(facts, event, says)
    if event.trace_id is not None:
        _merge_attribute(facts, "trace_id", belief, event.trace_id)
    if event.parent_span_id is not None:
        _merge_attribute(facts, "parent_span_id", belief, event.parent_span_id)
    if event.stamps is not None:
        _merge_attribute(facts, "stamps", belief, event.stamps)
    if event.tags:
        # Those of the first call stay, as its arguments do: a narrowed token that may
        # see a task then sees it to its end.
        told = TAG_SEPARATOR.join(sorted(set(event.tags)))
        own = event.source == "submitted"
        _merge_attribute(facts, "tags", belief if own else first + _FROM_OTHERS, told)


def _merge_group(facts: dict[str, Attribute], event: Event, says: int) -> None:
    """Add the group of `event`, and the place of the task in it.

    The last one wins: a task may run once more, in another group.
    """
    attempt = min(event.retries or 0, _MAX_RANK)
    place = ((4 * attempt + says + 2) << 49) + int(event.at * 1000)
    if event.source != "submitted":
        place += _FROM_OTHERS
    assert event.group_id is not None, "the event has a group"
    _merge_attribute(facts, "group_id", place, event.group_id)
    if event.group_index is not None:
        _merge_attribute(facts, "group_index", place, event.group_index)
    if event.chord_id is not None:
        _merge_attribute(facts, "chord_id", place, event.chord_id)


def read_shown_tags(facts: dict[str, Attribute]) -> tuple[str, ...] | None:
    """Return the tags of the sender and those of declared arguments, sorted."""
    tags, terms = facts.get("tags"), facts.get(INDEX_TERMS)
    if terms is None:
        return tuple(str(tags[1]).split(TAG_SEPARATOR)) if tags and tags[1] else None
    named = str(tags[1]).split(TAG_SEPARATOR) if tags and tags[1] else []
    return tuple(sorted({*named, *str(terms[1]).split(TAG_SEPARATOR)}))


def is_group_registered(facts: dict[str, Attribute]) -> bool:
    """Return True if Herald started the task in its group, so that it knows all of the
    group."""
    known = facts.get("group_id")
    return known is not None and ((known[0] >> 49) - 2) % 4 == PRECEDENCE["submitted"]


def _merge_attribute(
    facts: dict[str, Attribute], field: str, belief: int, value: str | int
) -> None:
    known = facts.get(field)
    # One field holds one type, so values compare.
    if known is None or (belief >= known[0] and (belief, value) > known):
        facts[field] = (belief, value)


def join_attributes(
    a: dict[str, Attribute], b: dict[str, Attribute]
) -> dict[str, Attribute]:
    """Return the attributes of both; `a` itself if `b` adds nothing."""
    new = {k: v for k, v in b.items() if k not in a or v > a[k]}
    return {**a, **new} if new else a
