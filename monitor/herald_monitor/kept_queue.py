"""The queue in which RabbitMQ keeps events while no monitor reads them."""

from __future__ import annotations

import logging
from typing import Any, cast

import msgspec
from kombu import Exchange, Queue

from herald_monitor.consumers import QueueTaken

logger = logging.getLogger(__name__)

DEFAULT_NAME = "herald"
DEFAULT_LENGTH = 1_000_000
DEFAULT_TTL = 3_600.0
DEFAULT_EXPIRES = 86_400.0

HEARTBEAT = 2.0
"""Seconds of AMQP's heartbeat for its reader. RabbitMQ holds the queue for a
reader that vanished until two or three of them are missing; a false alarm costs a
reconnect, and no event."""

PREFETCH = 2_000
"""Messages that RabbitMQ sends ahead of our acknowledgement. Each holds one event
or some (24 at most, but after an outage): far fewer than may wait in memory."""

OTHER_ARGUMENTS = 406
IN_USE = 403


class KeptQueue(msgspec.Struct, frozen=True):
    """A durable queue's name (without the app's `event_queue_prefix`) and bounds.

    `length` is in messages, each of one event or some; beyond it the oldest go.
    `ttl` is the seconds that a message is kept, `expires` the seconds after which
    RabbitMQ deletes the queue if nobody has read from it.
    """

    name: str = DEFAULT_NAME
    length: int = DEFAULT_LENGTH
    ttl: float = DEFAULT_TTL
    expires: float = DEFAULT_EXPIRES

    def queue(self, prefix: str, exchange: Exchange) -> Queue:
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


def declared(connection: Any, queue: Any) -> tuple[Any, int]:
    """Declare `queue`; return a channel to it, and how many messages wait in it.

    If it exists with other bounds, those stay, and a warning says so.
    """
    channel = connection.channel()
    try:
        queue(channel).declare()
    except connection.channel_errors as error:
        if _code(error) != OTHER_ARGUMENTS:
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
    """Become the only reader of a queue. Raises `QueueTaken` if there is one.

    Two readers would each hear half, in no order: which starts a worker missed
    to tell could not be counted any more.
    """
    channel.basic_qos(0, PREFETCH, False)
    try:
        channel.basic_consume(name, exclusive=True, callback=callback, no_ack=False)
    except connection.channel_errors as error:
        if _code(error) != IN_USE or "exclusive" not in str(error):
            raise
        raise QueueTaken(
            f"another monitor reads the queue {name}, so this one stands by and takes"
            " over when it ends; if that one keeps another store, give this one a"
            " queue of its own with HERALD_EVENT_QUEUE"
        ) from error


def overflow(kept: KeptQueue, waiting: int) -> str:
    """Say why events may be missing though they were kept; nothing if none are."""
    if waiting < kept.length:
        return ""
    return f"the queue was full ({waiting} messages), and the oldest events went"


def _code(error: Exception) -> int:
    return int(cast(Any, error).code or 0)
