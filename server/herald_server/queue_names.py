"""Which queues may be sent to. A name becomes a key of the broker, so not any text.

kombu pushes a message for the queue NAME to the Redis key NAME, whatever lies there:
its own bookkeeping, a result, a store. So only queues that somebody names are taken,
and never one that is reserved.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from herald_monitor.errors import BadInput
from herald_monitor.model.patterns import glob

RESERVED: Final = re.compile(
    r"unacked|_kombu\.|celeryev|amq\.|celery-task-meta-|celery-taskset-meta-"
    r"|\{herald\}",
    re.IGNORECASE,
)
"""How names begin that brokers, result backends and Herald's store use themselves."""

RESERVED_INSIDE: Final = ("pidbox", "unacked_", "_kombu.", "celery-task-meta-")
"""What such names hold behind a prefix."""


class BadQueue(BadInput):
    """A queue that nothing is sent to."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "queue")


def reserved(name: str) -> bool:
    """Say whether `name` is one that brokers, backends or stores use themselves."""
    low = name.lower()
    return bool(
        not name.isprintable()
        or RESERVED.match(name)
        or any(part in low for part in RESERVED_INSIDE)
    )


def refuse_queue(
    name: str | None, known: Collection[str], patterns: Iterable[str]
) -> None:
    """Raise `BadQueue` unless `name` may be sent to; None is the app's own choice.

    `known` are the queues that somebody names, `patterns` the globs of a herald.toml.
    """
    if name is None:
        return
    if reserved(name):
        raise BadQueue(
            f"nothing is sent to {name[:80]!r}: brokers, result backends or Herald "
            "use such names themselves. Leave queue out, or name a queue"
        )
    if name in known or any(glob(pattern)(name) for pattern in patterns):
        return
    raise BadQueue(
        f"no worker consumes a queue {name[:80]!r}, and neither the catalog nor the "
        "app's settings name it. Leave queue out, or allow it in herald.toml: "
        f"queues = [{name[:80]!r}]"
    )
