"""The counts of an AMQP broker's queues, by passive declaration.

A message is not visible there without consuming it. So a task may lie in every queue
that is not empty, and with every unknown consumer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from kombu import Connection

from herald_core.model.events.delayed_delivery import LEVELS

logger = logging.getLogger(__name__)

NOT_FOUND = 404


class QueueCount(msgspec.Struct, frozen=True):
    """A queue's messages that are ready, and its consumers.

    Both are None if the broker refused; `refusal` is its reason.
    """

    messages: int | None = None
    consumers: int | None = None
    refusal: str = ""


def count_queues(connection: Connection, names: Sequence[str]) -> dict[str, QueueCount]:
    """Return the numbers of the queues `names`; queues that do not exist are left out.

    Raises the broker library's errors if the connection is lost.
    """
    errors = cast(Any, connection).channel_errors
    found: dict[str, QueueCount] = {}
    channel: Any = None
    for name in names:
        channel = channel or cast(Any, connection).channel()
        try:
            declared = channel.queue_declare(name, passive=True)
        except errors as error:
            # Whatever it refuses, the broker closes the channel with it.
            channel = None
            if getattr(error, "reply_code", None) != NOT_FOUND:
                logger.debug("queue %s: %s", name, error)
                found[name] = QueueCount(refusal=str(error))
            continue
        found[name] = QueueCount(
            int(declared.message_count), int(declared.consumer_count)
        )
    if channel is not None:
        channel.close()
    return found


def count_delayed(connection: Connection) -> dict[str, QueueCount]:
    """Return the counts of the queues of native delayed delivery, if there are any.

    They are in the order of a message's way, so a message that moves on is seen again.
    """
    first = count_queues(connection, LEVELS[:1])
    return {**first, **count_queues(connection, LEVELS[1:])} if first else {}


def find_uncertainty(
    counted: Mapping[str, QueueCount], known: Mapping[str, int]
) -> str:
    """Return why a message may lie in one of the queues `counted`; "" if it cannot.

    `known` is the number of a queue's consumers that are workers with an answer.
    """
    for name, one in counted.items():
        if one.messages is None:
            return f"the broker does not show the queue {name} ({one.refusal})"
        if one.messages:
            return f"{one.messages} messages wait in the queue {name}"
        if (one.consumers or 0) > known.get(name, 0):
            return f"a consumer of the queue {name} did not say what it holds"
    return ""
