"""Remove the waiting messages of a queue, and report which tasks they were.

A Redis broker gives up the oldest messages of a list in one step. An AMQP broker gives
one message after another, confirmed by being taken. Other brokers purge a queue as a
whole, if kombu can, and do not tell what was in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec
import redis
from celery import Celery
from kombu import Connection

from herald_core.errors import HeraldError, UnsupportedByBroker
from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.broker.connection import (
    can_read_directly,
    connect_broker,
    describe_broker_error,
    drop_connection,
    is_amqp,
)
from herald_monitor.celery_client.broker.transport import get_transport_name
from herald_monitor.celery_client.queues.lookup import (
    QueuesUnreachable,
    list_priority_keys,
)

MAX_BATCH_MESSAGES: Final = 500
PURGE_TIMEOUT_S: Final = 10.0
"""Seconds in which one batch must be removed."""


class RemovedTask(msgspec.Struct, frozen=True):
    """A task whose message was removed from a queue."""

    task_id: str
    name: str | None = None
    retries: int = 0


class RemovedBatch(msgspec.Struct, frozen=True):
    """Removed messages: their number, and the tasks of those that are known.

    `is_blind`: the broker does not tell which messages it removed.
    """

    number: int
    tasks: tuple[RemovedTask, ...] = ()
    is_blind: bool = False


class _Headers(msgspec.Struct, frozen=True):
    id: str | None = None
    task: str | None = None
    retries: int | None = None


class _Message(msgspec.Struct, frozen=True):
    headers: _Headers = _Headers()


_decoder = msgspec.json.Decoder(_Message)


class QueuePurger:
    """Removes messages from the queues of `app`, on a thread of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._threads = TimedThreadPool("herald-purge", 1)

    async def remove(
        self, queue: str, limit: int, timeout_s: float = PURGE_TIMEOUT_S
    ) -> RemovedBatch:
        """Remove up to `limit` of the oldest messages, at most `MAX_BATCH_MESSAGES`.

        A broker that purges a queue as a whole removes all of them. Raises
        `QueuesUnreachable`, `UnsupportedByBroker`.
        """
        try:
            [removed] = await self._threads.map(
                lambda _: self._remove_on_thread(queue, min(limit, MAX_BATCH_MESSAGES)),
                [None],
                timeout_s,
            )
        except HeraldError:
            raise
        except Exception as error:  # any library's error
            silence = f"no answer within {timeout_s:g} s"
            why = describe_broker_error(self._app, error, silence)
            raise QueuesUnreachable(f"the queue cannot be purged: {why}") from error
        return removed

    def _remove_on_thread(self, queue: str, limit: int) -> RemovedBatch:
        if problem := get_project_options(self._app).check():
            raise QueuesUnreachable(f"nothing is purged: {problem}")
        connection = connect_broker(self._app)
        try:
            if can_read_directly(connection):
                return _remove_from_redis(connection, queue, limit)
            if is_amqp(connection):
                return _remove_from_amqp(connection, queue, limit)
            return self._purge_blindly(connection, queue)
        finally:
            drop_connection(connection)

    def _purge_blindly(self, connection: Connection, queue: str) -> RemovedBatch:
        try:
            number = cast(Any, connection).channel().queue_purge(queue)
        except NotImplementedError:
            raise UnsupportedByBroker(
                f"{get_transport_name(self._app)} cannot purge a queue; use the "
                "broker's own tools"
            ) from None
        return RemovedBatch(int(number or 0), is_blind=True)


def _remove_from_redis(connection: Connection, queue: str, limit: int) -> RemovedBatch:
    channel = cast(Any, connection).channel()
    # kombu's client would put its prefix before the keys of some commands only.
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    taken: list[bytes] = []
    for key in list_priority_keys(channel, [queue]):
        if len(taken) >= limit:
            break
        taken += _pop_oldest(client, key, limit - len(taken))
    return _make_batch([_decode(message) for message in taken])


def _pop_oldest(client: Any, key: str, number: int) -> Sequence[bytes]:
    """Remove the oldest messages of a list, in one step, and return them."""
    with client.pipeline(transaction=True) as pipe:
        pipe.lrange(key, -number, -1)
        pipe.ltrim(key, 0, -number - 1)
        found, _ = pipe.execute()
    return cast("Sequence[bytes]", found)


def _decode(message: bytes) -> _Headers:
    try:
        return _decoder.decode(message).headers
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Headers()


def _remove_from_amqp(connection: Connection, queue: str, limit: int) -> RemovedBatch:
    channel = cast(Any, connection).channel()
    headers: list[_Headers] = []
    while len(headers) < limit:
        message = channel.basic_get(queue, no_ack=True)
        if message is None:
            break
        headers.append(_read_headers(message))
    return _make_batch(headers)


def _read_headers(message: Any) -> _Headers:
    given = cast("Mapping[str, object]", message.headers or {})
    known = {key: given[key] for key in ("id", "task", "retries") if key in given}
    try:
        return msgspec.convert(known, _Headers)
    except msgspec.ValidationError:
        return _Headers()


def _make_batch(headers: Sequence[_Headers]) -> RemovedBatch:
    return RemovedBatch(
        len(headers),
        tuple(
            RemovedTask(one.id, one.task, one.retries or 0) for one in headers if one.id
        ),
    )
