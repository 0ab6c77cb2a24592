"""The durable queue in which RabbitMQ stores events while no monitor reads."""

from __future__ import annotations

import logging
from typing import Any, cast

import msgspec
from kombu import Exchange, Queue

from herald_core.settings import (
    DEFAULT_EXPIRES,
    DEFAULT_LENGTH,
    DEFAULT_NAME,
    DEFAULT_TTL,
)
from herald_monitor.ingest.consumers.consumer import QueueInUse

logger = logging.getLogger(__name__)


HEARTBEAT_S = 2.0
"""Seconds of AMQP's heartbeat for its reader. RabbitMQ holds the queue for a
reader that vanished until two or three of them are missing; a false alarm costs a
reconnect, and no event."""

PREFETCH_COUNT = 2_000
"""Messages that RabbitMQ sends ahead of our acknowledgement. Each holds one event
or some (24 at most, but after an outage): far fewer than may wait in memory."""

PRECONDITION_FAILED = 406
ACCESS_REFUSED = 403


class DurableQueue(msgspec.Struct, frozen=True):
    """A durable queue's name (without the app's `event_queue_prefix`) and limits.

    `length` is in messages, each with one or more events; above it the oldest are
    dropped. `ttl` is the lifetime of a message in seconds. `expires` is the time in
    seconds without a consumer after which RabbitMQ deletes the queue.
    """

    name: str = DEFAULT_NAME
    length: int = DEFAULT_LENGTH
    ttl: float = DEFAULT_TTL
    expires: float = DEFAULT_EXPIRES

    def make_queue(self, prefix: str, exchange: Exchange) -> Queue:
        """Return the queue, bound to all of `exchange`, not declared yet."""
        return Queue(
            f"{prefix}.{self.name}",
            exchange=exchange,
            routing_key="#",
            durable=True,
            exclusive=False,
            auto_delete=False,
            max_length=self.length,
            message_ttl=self.ttl,
            expires=self.expires,
            # A virtual host may have made another type its default.
            queue_arguments={"x-queue-type": "classic"},
        )


def declare(connection: Any, queue: Any) -> tuple[Any, int]:
    """Declare `queue`; return a channel to it, and the number of waiting messages.

    If it exists with other limits, those stay, and a warning is logged.
    """
    channel = connection.channel()
    try:
        queue(channel).declare()
    except connection.channel_errors as error:
        if _get_reply_code(error) != PRECONDITION_FAILED:
            raise
        logger.warning(
            "The queue %s exists with other bounds, which stay as they are; to change"
            " them, stop its monitor, run `rabbitmqctl delete_queue %s` and start it.",
            queue.name,
            queue.name,
        )
        channel = connection.channel()
        queue(channel).exchange.declare()
    bound = queue(channel)
    # Fails where there is no such queue: it was the exchange that differed.
    waiting = int(bound.queue_declare(passive=True).message_count)
    bound.queue_bind()
    return channel, waiting


def consume(connection: Any, channel: Any, name: str, callback: Any) -> None:
    """Become the only consumer of a queue. Raises `QueueInUse` if there is one.

    Each of two consumers would receive half of the events, in no order. Missing starts
    of a worker could no longer be counted.
    """
    channel.basic_qos(0, PREFETCH_COUNT, False)
    try:
        channel.basic_consume(name, exclusive=True, callback=callback, no_ack=False)
    except connection.channel_errors as error:
        if _get_reply_code(error) != ACCESS_REFUSED or "exclusive" not in str(error):
            raise
        raise QueueInUse(
            f"another monitor reads the queue {name}, so this one stands by and takes"
            " over when it ends; if that one keeps another store, give this one a"
            " queue of its own with HERALD_EVENT_QUEUE"
        ) from error


def describe_overflow(kept: DurableQueue, waiting: int) -> str:
    """Return why events may be missing from the queue; empty if none are."""
    if waiting < kept.length:
        return ""
    return f"the queue was full ({waiting} messages), and the oldest events went"


def _get_reply_code(error: Exception) -> int:
    return int(cast(Any, error).code or 0)
