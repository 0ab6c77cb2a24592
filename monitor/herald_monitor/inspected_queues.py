"""What a worker answers about the queues that it consumes (`active_queues`). Pure.

Celery answers with kombu's `Queue.as_dict(recurse=True)`; answers come from
strangers, so whatever cannot be meant is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from herald_monitor.model.events import MAX_NAME, shorten

MOST = 1_000
"""Queues of one worker's answer that are read."""

_WORDS = {"*": r"[^.]+", "#": r".*"}


class ConsumedQueue(msgspec.Struct, frozen=True):
    """A queue that a worker consumes, and the routing keys that lead there.

    `dead_letter` is the queue to which RabbitMQ passes on what it drops, as far as
    that is known; `drops_unseen` means that it passes it on to somewhere else.
    """

    name: str
    keys: tuple[str, ...] = ()
    dead_letter: str | None = None
    drops_unseen: bool = False

    def takes(self, routing_key: str) -> bool:
        """Return True if a message under `routing_key` may lie here."""
        return routing_key == self.name or any(
            _pattern(key).fullmatch(routing_key) for key in self.keys
        )


def read_consumed(answer: object) -> tuple[ConsumedQueue, ...]:
    """Return the queues in a worker's answer, in its order."""
    if not isinstance(answer, list):
        return ()
    told = (_mapping(one) for one in cast("list[object]", answer)[:MOST])
    return tuple(queue for one in told if (queue := _read(one)) is not None)


def names_in(queues: Iterable[ConsumedQueue]) -> set[str]:
    """Return the names of `queues`, and of those that they pass dead letters to."""
    found: set[str] = set()
    for queue in queues:
        found.add(queue.name)
        if queue.dead_letter:
            found.add(queue.dead_letter)
    return found


def _read(told: Mapping[str, object]) -> ConsumedQueue | None:
    name = _name(told.get("name"))
    if name is None:
        return None
    keys = dict.fromkeys(filter(None, [_name(told.get("routing_key")), *_bound(told)]))
    arguments = _mapping(told.get("queue_arguments"))
    exchange = arguments.get("x-dead-letter-exchange")
    # The default exchange, which has no name, leads to the queue of that name.
    letter = _name(arguments.get("x-dead-letter-routing-key")) or name
    return ConsumedQueue(
        name,
        tuple(keys),
        letter if exchange == "" and letter != name else None,
        bool(exchange),
    )


def _bound(told: Mapping[str, object]) -> list[str | None]:
    bindings = told.get("bindings")
    if not isinstance(bindings, list | tuple):
        return []
    listed = cast("list[object]", bindings)[:MOST]
    return [_name(_mapping(one).get("routing_key")) for one in listed]


def _pattern(key: str) -> re.Pattern[str]:
    words = (_WORDS.get(word, re.escape(word)) for word in key.split("."))
    return re.compile(r"\.".join(words).replace(r"\..*", r"(\..*)?"))


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _name(value: object) -> str | None:
    return shorten(value, MAX_NAME) if isinstance(value, str) and value else None
