"""Which workers RabbitMQ still has a connection of, though they do not answer.

A worker that can be asked consumes a queue of its own, `NAME.celery.pidbox`, which is
deleted soon after its connection ends. It is there while the worker is busy, stopped
in a debugger, or blocked: whatever keeps it from answering.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from celery import Celery
from kombu import Connection

from herald_monitor.askers import Askers
from herald_monitor.consumers import (
    broker_connection,
    broker_name,
    is_amqp,
    let_go,
)
from herald_monitor.errors import HeraldError

WITHIN = 4.0
MOST = 100
"""Names that are looked for at once."""

LOCKED = 405
"""RabbitMQ's answer about a queue that belongs to the connection of another."""


class ControlQueues:
    """Looks for the control queues of workers of `app`, on a thread of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._askers = Askers("herald-control-queues", 1)

    async def connected(
        self, hostnames: Collection[str], within: float = WITHIN
    ) -> frozenset[str]:
        """Return those of `hostnames` whose queue is consumed; none but on RabbitMQ.

        Raises `HeraldError` if the broker does not answer.
        """
        names = sorted(hostnames)[:MOST]
        if not names:
            return frozenset()
        try:
            [found] = await self._askers.ask(
                lambda _: self._look(names), [None], within
            )
        except Exception as error:  # any library's error
            why = str(error) or f"no answer within {within:.0f} s"
            raise HeraldError(
                f"the workers' queues at {broker_name(self._app)} cannot be seen"
                f" ({why}); see that the broker runs"
            ) from error
        return found

    def close(self) -> None:
        """Let the thread end."""
        self._askers.close()

    def _look(self, names: list[str]) -> frozenset[str]:
        connection = broker_connection(self._app)
        space = cast(Any, self._app).control.mailbox.namespace
        try:
            if not is_amqp(connection):
                return frozenset()
            return frozenset(
                name
                for name in names
                if _consumed(connection, f"{name}.{space}.pidbox")
            )
        finally:
            let_go(connection)


def _consumed(connection: Connection, queue: str) -> bool:
    # What the broker refuses it answers by closing the channel.
    channel: Any = cast(Any, connection).channel()
    try:
        told = channel.queue_declare(queue, passive=True)
        channel.close()
    except cast(Any, connection).channel_errors as error:
        return getattr(error, "reply_code", None) == LOCKED
    return int(told.consumer_count) > 0
