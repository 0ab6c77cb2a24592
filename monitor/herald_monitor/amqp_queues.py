"""The numbers of an AMQP broker's queues, told to who declares them passively.

A message cannot be seen there without taking it, so a task may lie in every queue
that is not empty, and with every consumer that nobody knows.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from kombu import Connection

from herald_monitor.model.delayed import LEVELS

logger = logging.getLogger(__name__)

NOT_FOUND = 404


class Counted(msgspec.Struct, frozen=True):
    """A queue's messages that are ready, and its consumers.

    Both are None where the broker refused to tell; `refusal` is its reason.
    """

    messages: int | None = None
    consumers: int | None = None
    refusal: str = ""


def count_queues(connection: Connection, names: Sequence[str]) -> dict[str, Counted]:
    """Return the numbers of the queues `names`; queues that do not exist are left out.

    Raises the broker library's errors if the connection is lost.
    """
    errors = cast(Any, connection).channel_errors
    found: dict[str, Counted] = {}
    channel: Any = None
    for name in names:
        channel = channel or cast(Any, connection).channel()
        try:
            told = channel.queue_declare(name, passive=True)
        except errors as error:
            # Whatever it refuses, the broker closes the channel with it.
            channel = None
            if getattr(error, "reply_code", None) != NOT_FOUND:
                logger.debug("queue %s: %s", name, error)
                found[name] = Counted(refusal=str(error))
            continue
        found[name] = Counted(int(told.message_count), int(told.consumer_count))
    if channel is not None:
        channel.close()
    return found


def count_delayed(connection: Connection) -> dict[str, Counted]:
    """Return the numbers of the queues of native delayed delivery, if there are any.

    In the order in which a message goes through them: what moves on is met again.
    """
    first = count_queues(connection, LEVELS[:1])
    return {**first, **count_queues(connection, LEVELS[1:])} if first else {}


def find_doubt(counted: Mapping[str, Counted], known: Mapping[str, int]) -> str:
    """Return why a message may lie in one of the queues `counted`; "" if it cannot.

    `known` is how many consumers of a queue are workers that said what they hold.
    """
    for name, one in counted.items():
        if one.messages is None:
            return f"the broker does not show the queue {name} ({one.refusal})"
        if one.messages:
            return f"{one.messages} messages wait in the queue {name}"
        if (one.consumers or 0) > known.get(name, 0):
            return f"a consumer of the queue {name} did not say what it holds"
    return ""
