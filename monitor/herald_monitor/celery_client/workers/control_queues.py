"""Workers that do not answer, but are connected to RabbitMQ.

A worker with remote control consumes a queue of its own, `NAME.celery.pidbox`, which is
deleted soon after its connection ends. The queue exists while the worker is busy,
stopped in a debugger, or blocked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from celery import Celery
from kombu import Connection

from herald_core.errors import HeraldError
from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
    get_broker_name,
    is_amqp,
)
from herald_monitor.celery_client.broker.transport import has_fanout

LOOKUP_TIMEOUT_S = 4.0
MAX_HOSTNAMES = 100
"""Names that are looked for at once."""

RESOURCE_LOCKED = 405
"""RabbitMQ's answer about a queue that belongs to the connection of another."""


class ControlQueueLookup:
    """Looks for the control queues of workers of `app`, on a thread of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._threads = TimedThreadPool("herald-control-queues", 1)

    async def find_connected(
        self, hostnames: Collection[str], timeout_s: float = LOOKUP_TIMEOUT_S
    ) -> frozenset[str]:
        """Return those of `hostnames` whose queue is consumed; none but on RabbitMQ.

        Raises `HeraldError` if the broker does not answer.
        """
        names = sorted(hostnames)[:MAX_HOSTNAMES]
        if not names or not has_fanout(self._app):
            return frozenset()
        try:
            [found] = await self._threads.map(
                lambda _: self._find_on_thread(names), [None], timeout_s
            )
        except Exception as error:  # any library's error
            why = str(error) or f"no answer within {timeout_s:.0f} s"
            raise HeraldError(
                f"the workers' queues at {get_broker_name(self._app)} cannot be seen"
                f" ({why}); see that the broker runs"
            ) from error
        return found

    def close(self) -> None:
        """Let the thread end."""
        self._threads.close()

    def _find_on_thread(self, names: list[str]) -> frozenset[str]:
        connection = connect_broker(self._app)
        space = cast(Any, self._app).control.mailbox.namespace
        try:
            if not is_amqp(connection):
                return frozenset()
            return frozenset(
                name
                for name in names
                if _is_consumed(connection, f"{name}.{space}.pidbox")
            )
        finally:
            drop_connection(connection)


def _is_consumed(connection: Connection, queue: str) -> bool:
    # The broker closes the channel to refuse a command.
    channel: Any = cast(Any, connection).channel()
    try:
        declared = channel.queue_declare(queue, passive=True)
        channel.close()
    except cast(Any, connection).channel_errors as error:
        return getattr(error, "reply_code", None) == RESOURCE_LOCKED
    return int(declared.consumer_count) > 0
