"""A project's layout of queues on a Redis broker, from the keys found there. Pure.

Workers leave a member in the binding table of their control exchange. Its key and text
hold options that a URL does not carry: `global_keyprefix`, `sep` and `control_exchange`
(kombu/transport/redis.py: `_queue_bind`; kombu/pidbox.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

BINDING_PREFIX = "_kombu.binding."
CONTROL_SUFFIX = ".pidbox"
REPLY_PREFIX = "reply."

MAX_SEPARATOR_CHARS = 16
"""Characters of a separator."""

MASKED_VALUE = "********"
"""Celery's replacement of settings whose names look like secrets."""


class QueueLayout(msgspec.Struct, frozen=True, order=True):
    """The options of one project; `workers` are those that can be asked.

    Without `control_exchange` only its queues are known: no worker accepts remote
    control.
    """

    prefix: str
    control_exchange: str
    sep: str
    workers: tuple[str, ...] = ()


class LayoutVerdict(msgspec.Struct, frozen=True):
    """The decision about the layouts found: options to apply, or the reason for none.

    `found` is the project's layout, if there is exactly one.
    """

    found: QueueLayout | None = None
    problem: str = ""


def read_layouts(tables: Mapping[str, Iterable[str]]) -> list[QueueLayout]:
    """Return the layouts in binding tables, by key → members."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for key, members in tables.items():
        prefix, _, exchange = key.partition(BINDING_PREFIX)
        if exchange.startswith(REPLY_PREFIX):
            continue
        for member in members:
            if exchange.endswith(CONTROL_SUFFIX):
                _add_worker(found, prefix, exchange, member)
            elif sep := read_queue_separator(member):
                found.setdefault((prefix, "", sep), set())
    return sorted(QueueLayout(*place, tuple(sorted(h))) for place, h in found.items())


def _add_worker(
    found: dict[tuple[str, str, str], set[str]], prefix: str, exchange: str, member: str
) -> None:
    sep = read_separator(member)
    queue = member[2 * len(sep) :]
    if sep and queue.endswith(f".{exchange}"):
        place = (prefix, exchange.removesuffix(CONTROL_SUFFIX), sep)
        found.setdefault(place, set()).add(queue.removesuffix(f".{exchange}"))


def read_separator(member: str) -> str:
    """Return the separator in a binding without routing key and pattern; "" if none.

    Such a member is the separator twice, and the queue's name.
    """
    for size in range(min(len(member) // 2, MAX_SEPARATOR_CHARS), 0, -1):
        if member[:size] == member[size : 2 * size]:
            return member[:size]
    return ""


def read_queue_separator(member: str) -> str:
    """Return the separator in the binding of a queue by its own name; "" if none.

    Such a member is the name, the separator twice, and the name once more.
    """
    for size in range(1, MAX_SEPARATOR_CHARS):
        end = (len(member) - 2 * size) // 2
        name, sep = member[:end], member[end : end + size]
        if end > 0 and sep and member == f"{name}{sep}{sep}{name}":
            return sep
    return ""


def choose_layout(
    layouts: Iterable[QueueLayout], ours: QueueLayout, *, learns: bool
) -> LayoutVerdict:
    """Return the project's layout among `layouts`, or the reason for none.

    `ours` are the options in use. Without `learns` they do not change.
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
        return LayoutVerdict(known[0])
    if len(near) == 1 and learns:
        return LayoutVerdict(near[0])
    if fits or not near:
        # Workers of another control exchange cannot be asked, but their queues are
        # visible.
        return LayoutVerdict()
    return LayoutVerdict(problem=_describe_others(near, ours, learns=learns))


def _describe_others(
    others: list[QueueLayout], ours: QueueLayout, *, learns: bool
) -> str:
    named = "; or ".join(dict.fromkeys(_list_options(one, ours) for one in others[:3]))
    fix = f"give {named}, or -A PROJECT" if learns else "give -A the settings in use"
    return (
        f"the project on this broker uses other options than Herald ({named}), so that"
        f" its queues cannot be seen: {fix}"
    )


def _list_options(one: QueueLayout, ours: QueueLayout) -> str:
    options: list[str] = []
    if one.prefix != ours.prefix:
        options.append(f"--transport-option global_keyprefix={one.prefix}")
    if one.sep != ours.sep:
        options.append(f"--transport-option sep={one.sep!r}")
    if one.control_exchange not in ("", ours.control_exchange):
        options.append(f"--celery-setting control_exchange={one.control_exchange}")
    return " ".join(options)
