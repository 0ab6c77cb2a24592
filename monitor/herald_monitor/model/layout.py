"""How a project lays out its queues on a Redis broker, read from what is there. Pure.

Workers leave a member in the binding table of their control exchange, whose key and
text hold what a URL does not carry: `global_keyprefix`, `sep` and `control_exchange`
(kombu/transport/redis.py: `_queue_bind`; kombu/pidbox.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

BINDING = "_kombu.binding."
CONTROL = ".pidbox"
REPLIES = "reply."

LONGEST = 16
"""Characters of a separator."""

MASKED = "********"
"""What Celery shows instead of settings whose names look like secrets."""


class Layout(msgspec.Struct, frozen=True, order=True):
    """The options of one project; `workers` are those that can be asked.

    Without `control_exchange` only its queues are known: none of its workers is
    there that takes orders.
    """

    prefix: str
    control_exchange: str
    sep: str
    workers: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """What to do about what was found: options to take over, or why none can be.

    `found` is the layout that is the project's, if there is just one.
    """

    found: Layout | None = None
    problem: str = ""


def read_layouts(tables: Mapping[str, Iterable[str]]) -> list[Layout]:
    """Return the layouts that binding tables tell, by key → members."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for key, members in tables.items():
        prefix, _, exchange = key.partition(BINDING)
        if exchange.startswith(REPLIES):
            continue
        for member in members:
            if exchange.endswith(CONTROL):
                _note_worker(found, prefix, exchange, member)
            elif sep := read_queue_separator(member):
                found.setdefault((prefix, "", sep), set())
    return sorted(Layout(*place, tuple(sorted(h))) for place, h in found.items())


def _note_worker(
    found: dict[tuple[str, str, str], set[str]], prefix: str, exchange: str, member: str
) -> None:
    sep = read_separator(member)
    queue = member[2 * len(sep) :]
    if sep and queue.endswith(f".{exchange}"):
        place = (prefix, exchange.removesuffix(CONTROL), sep)
        found.setdefault(place, set()).add(queue.removesuffix(f".{exchange}"))


def read_separator(member: str) -> str:
    """Return the separator in a binding without routing key and pattern; "" if none.

    Such a member is the separator twice, and the queue's name.
    """
    for size in range(min(len(member) // 2, LONGEST), 0, -1):
        if member[:size] == member[size : 2 * size]:
            return member[:size]
    return ""


def read_queue_separator(member: str) -> str:
    """Return the separator in the binding of a queue by its own name; "" if none.

    Such a member is the name, the separator twice, and the name once more.
    """
    for size in range(1, LONGEST):
        end = (len(member) - 2 * size) // 2
        name, sep = member[:end], member[end : end + size]
        if end > 0 and sep and member == f"{name}{sep}{sep}{name}":
            return sep
    return ""


def judge(layouts: Iterable[Layout], ours: Layout, *, learns: bool) -> Verdict:
    """Return the project's layout among `layouts`, or why it is not known.

    `ours` are the options in use. Without `learns` they stay as they are.
    """
    found = list(layouts)
    # Several projects may share the server: ours is the one that fits best.
    near = [one for one in found if one.prefix == ours.prefix] or found
    near = [one for one in near if one.control_exchange] or near
    same = [one for one in near if one.control_exchange == ours.control_exchange]
    near = same or near
    fits = [one for one in near if (one.prefix, one.sep) == (ours.prefix, ours.sep)]
    known = [one for one in fits if one.control_exchange in ("", ours.control_exchange)]
    if known:
        return Verdict(known[0])
    if len(near) == 1 and learns:
        return Verdict(near[0])
    if fits or not near:
        # Workers of another control exchange cannot be asked, but queues can be seen.
        return Verdict()
    return Verdict(problem=_say(near, ours, learns=learns))


def _say(others: list[Layout], ours: Layout, *, learns: bool) -> str:
    named = "; or ".join(dict.fromkeys(_options(one, ours) for one in others[:3]))
    fix = f"give {named}, or -A PROJECT" if learns else "give -A the settings in use"
    return (
        f"the project on this broker uses other options than Herald ({named}), so that"
        f" its queues cannot be seen: {fix}"
    )


def _options(one: Layout, ours: Layout) -> str:
    told: list[str] = []
    if one.prefix != ours.prefix:
        told.append(f"--transport-option global_keyprefix={one.prefix}")
    if one.sep != ours.sep:
        told.append(f"--transport-option sep={one.sep!r}")
    if one.control_exchange not in ("", ours.control_exchange):
        told.append(f"--celery-setting control_exchange={one.control_exchange}")
    return " ".join(told)
