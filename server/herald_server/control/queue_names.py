"""Valid queue names. A name becomes a key of the broker, so not any text is valid.

kombu pushes a message for the queue NAME to the Redis key NAME, whatever is stored
there: its own bookkeeping, a result, a store. So only named queues are accepted, and
never a reserved name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from herald_core.errors import InvalidInput
from herald_core.model.patterns import compile_glob

RESERVED: Final = re.compile(
    r"unacked|_kombu\.|celeryev|amq\.|celery-task-meta-|celery-taskset-meta-"
    r"|\{herald\}",
    re.IGNORECASE,
)
"""How names begin that brokers, result backends and Herald's store use themselves."""

RESERVED_INSIDE: Final = ("pidbox", "unacked_", "_kombu.", "celery-task-meta-")
"""Substrings of such names."""


class BadQueue(InvalidInput):
    """A queue that cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "queue")


def is_reserved(name: str) -> bool:
    """Return True if brokers, backends or stores use `name` themselves."""
    low = name.lower()
    return bool(
        not name.isprintable()
        or RESERVED.match(name)
        or any(part in low for part in RESERVED_INSIDE)
    )


def refuse_queue(
    name: str | None, known: Collection[str], patterns: Iterable[str]
) -> None:
    """Raise `BadQueue` unless `name` may be used; None is the app's own choice.

    `known` are the named queues, `patterns` the globs of a herald.toml.
    """
    if name is None:
        return
    if is_reserved(name):
        raise BadQueue(
            f"nothing is sent to {name[:80]!r}: brokers, result backends or Herald "
            "use such names themselves. Leave queue out, or name a queue"
        )
    if name in known or any(compile_glob(pattern)(name) for pattern in patterns):
        return
    raise BadQueue(
        f"no worker consumes a queue {name[:80]!r}, and neither the catalog nor the "
        "app's settings name it. Leave queue out, or allow it in herald.toml: "
        f"queues = [{name[:80]!r}]"
    )
