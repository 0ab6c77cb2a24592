"""A worker's answer about the queues that it consumes (`active_queues`). Pure.

Celery answers with kombu's `Queue.as_dict(recurse=True)`. Answers are untrusted, so
invalid values are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from herald_core.model.events.event import MAX_NAME, shorten

MAX_QUEUES = 1_000
"""Queues of one worker's answer that are read."""

_WILDCARDS = {"*": r"[^.]+", "#": r".*"}


class ConsumedQueue(msgspec.Struct, frozen=True):
    """A queue that a worker consumes, and the routing keys that lead there.

    `dead_letter` is the queue of RabbitMQ's dead letters, if known; `drops_unseen`
    means that dead letters go to an unknown place.
    """

    name: str
    keys: tuple[str, ...] = ()
    dead_letter: str | None = None
    drops_unseen: bool = False

    def matches_routing_key(self, routing_key: str) -> bool:
        """Return True if a message with `routing_key` may be routed here."""
        return routing_key == self.name or any(
            _compile_pattern(key).fullmatch(routing_key) for key in self.keys
        )


def read_consumed(answer: object) -> tuple[ConsumedQueue, ...]:
    """Return the queues in a worker's answer, in its order."""
    if not isinstance(answer, list):
        return ()
    descriptions = (
        _to_mapping(one) for one in cast("list[object]", answer)[:MAX_QUEUES]
    )
    return tuple(
        queue for one in descriptions if (queue := _read_queue(one)) is not None
    )


def list_names(queues: Iterable[ConsumedQueue]) -> set[str]:
    """Return the names of `queues`, and of their dead letter queues."""
    found: set[str] = set()
    for queue in queues:
        found.add(queue.name)
        if queue.dead_letter:
            found.add(queue.dead_letter)
    return found


def _read_queue(description: Mapping[str, object]) -> ConsumedQueue | None:
    name = _read_name(description.get("name"))
    if name is None:
        return None
    keys = dict.fromkeys(
        filter(
            None,
            [
                _read_name(description.get("routing_key")),
                *_list_binding_keys(description),
            ],
        )
    )
    arguments = _to_mapping(description.get("queue_arguments"))
    exchange = arguments.get("x-dead-letter-exchange")
    # The default exchange, which has no name, leads to the queue of that name.
    letter = _read_name(arguments.get("x-dead-letter-routing-key")) or name
    return ConsumedQueue(
        name,
        tuple(keys),
        letter if exchange == "" and letter != name else None,
        bool(exchange),
    )


def _list_binding_keys(description: Mapping[str, object]) -> list[str | None]:
    bindings = description.get("bindings")
    if not isinstance(bindings, list | tuple):
        return []
    listed = cast("list[object]", bindings)[:MAX_QUEUES]
    return [_read_name(_to_mapping(one).get("routing_key")) for one in listed]


def _compile_pattern(key: str) -> re.Pattern[str]:
    words = (_WILDCARDS.get(word, re.escape(word)) for word in key.split("."))
    return re.compile(r"\.".join(words).replace(r"\..*", r"(\..*)?"))


def _to_mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _read_name(value: object) -> str | None:
    return shorten(value, MAX_NAME) if isinstance(value, str) and value else None
