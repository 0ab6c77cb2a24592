"""A lookup of waiting tasks at the broker, without consuming any.

A Redis broker stores its queues in readable lists: one for each priority step, and a
hash of unacknowledged messages. An AMQP broker shows only the number of messages in a
queue, so a task may wait in any queue that is not empty. Other brokers show nothing.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, cast

import msgspec
import redis
from celery import Celery
from kombu import Connection

from herald_core.errors import HeraldError
from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.app.project_evidence import find_bound_queues
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.broker.connection import (
    can_read_directly,
    connect_broker,
    describe_broker_error,
    drop_connection,
    is_amqp,
)
from herald_monitor.celery_client.queues.amqp import (
    count_delayed,
    count_queues,
    find_uncertainty,
)

MAX_MESSAGES = 10_000
"""Messages of one list, or of the hash, that are looked at: half from each end."""

READ_BATCH = 500
LOOKUP_TIMEOUT_S = 10.0
MAX_QUEUES = 500
DEFAULT_PRIORITY_STEPS = range(10)

BOUND_QUEUES_TTL_S = 20.0
"""Seconds between two searches for queues that were declared."""
NO_CONSUMERS: Mapping[str, int] = {}


class QueueLookupResult(msgspec.Struct, frozen=True):
    """The result of a lookup. `known`: a task that was not found does not wait.

    `doubt` is the reason if that is not known. `consumers` is the consumer count of
    each queue, if the broker returns it: RabbitMQ, which does not show prefetched
    messages.
    """

    queued: frozenset[str] = frozenset()
    unacked: frozenset[str] = frozenset()
    is_complete: bool = False
    checked: int = 0
    uncertainty: str = ""
    consumers: Mapping[str, int] = {}


class QueuesUnreachable(HeraldError):
    """The broker did not answer."""


class _Headers(msgspec.Struct, frozen=True):
    id: str | None = None
    retries: int | None = None


class _Properties(msgspec.Struct, frozen=True):
    correlation_id: str | None = None


class QueuedMessage(msgspec.Struct, frozen=True):
    """The used part of a task's message as kombu stores it in Redis."""

    headers: _Headers = _Headers()
    properties: _Properties = _Properties()


_message_decoder = msgspec.json.Decoder(QueuedMessage)
unacked_decoder = msgspec.json.Decoder(tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw])


class QueueLookup:
    """The queues of `app`'s broker: those of its settings, and those of the caller."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._threads = TimedThreadPool("herald-queues", 1)
        self._bound_queues: set[str] = set()
        self._bound_at = float("-inf")

    async def find(
        self,
        ids: Collection[str],
        queues: Iterable[str],
        timeout_s: float = LOOKUP_TIMEOUT_S,
        *,
        consumers: Mapping[str, int] = NO_CONSUMERS,
    ) -> QueueLookupResult:
        """Look for the tasks `ids` in `queues` and those of the app's settings.

        `consumers` is the number of workers of each queue with an answer. The lookup
        stops when all are found. Raises `QueuesUnreachable`.
        """
        names = list(dict.fromkeys(chain(self._list_own(), queues)))
        wanted = frozenset(ids)
        if not wanted:
            return QueueLookupResult(is_complete=True)
        try:
            [found] = await self._threads.map(
                lambda _: self._find_on_thread(wanted, names, consumers),
                [None],
                timeout_s,
            )
        except Exception as error:  # any library's error
            silence = f"no answer within {timeout_s:.0f} s"
            why = describe_broker_error(self._app, error, silence)
            raise QueuesUnreachable(f"the queues cannot be seen: {why}") from error
        return found

    def close(self) -> None:
        """Let the thread end."""
        self._threads.close()

    def _list_bound(self, connection: Connection) -> set[str]:
        """Return the queues that were ever declared, as they were a little ago."""
        now = time.monotonic()
        if now >= self._bound_at + BOUND_QUEUES_TTL_S:
            self._bound_at, self._bound_queues = now, find_bound_queues(connection)
        return self._bound_queues

    def _list_own(self) -> list[str]:
        return [str(name) for name in cast(Any, self._app).amqp.queues]

    def _find_on_thread(
        self, wanted: frozenset[str], names: list[str], consumers: Mapping[str, int]
    ) -> QueueLookupResult:
        if problem := get_project_options(self._app).check():
            return QueueLookupResult(uncertainty=problem)
        connection = connect_broker(self._app)
        try:
            if can_read_directly(connection):
                names = list(dict.fromkeys([*names, *self._list_bound(connection)]))
                return _find_in_redis(connection, wanted, names)
            if is_amqp(connection):
                return _count_in_amqp(connection, names, consumers)
            return QueueLookupResult(
                uncertainty="this kind of broker shows no messages"
            )
        finally:
            drop_connection(connection)


# -- Redis ------------------------------------------------------------------------


def _find_in_redis(
    connection: Connection, wanted: frozenset[str], names: list[str]
) -> QueueLookupResult:
    channel = cast(Any, connection).channel()
    # kombu's client would put its prefix before the keys of some commands only.
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    lists = list_priority_keys(channel, names[:MAX_QUEUES])
    queued, seen, whole = _search(_iter_queued(client, lists), wanted)
    left = wanted - queued
    given_out = f"{channel.global_keyprefix}{channel.unacked_key}"
    unacked, more, all_seen = _search(_iter_unacked(client, given_out), left)
    known = whole and all_seen and len(names) <= MAX_QUEUES
    return QueueLookupResult(queued, unacked, known or not left - unacked, seen + more)


def list_priority_keys(channel: Any, names: Sequence[str]) -> list[str]:
    """Return the keys of `names`: one a queue and step of priority, as kombu does."""
    prefix, sep = channel.global_keyprefix, channel.sep
    return [
        f"{prefix}{name}{sep}{step}" if step else f"{prefix}{name}"
        for name in names
        for step in list_priority_steps(channel)
    ]


def list_priority_steps(channel: Any) -> list[int]:
    """Return the priority steps in which messages may lie.

    The sender decides on them. So the usual steps of projects are included, whatever
    the steps of this app are.
    """
    return sorted({0, *DEFAULT_PRIORITY_STEPS, *channel.priority_steps})


def _search(
    messages: Iterator[tuple[bytes, bool]], wanted: frozenset[str]
) -> tuple[frozenset[str], int, bool]:
    """Return which of `wanted` are among `messages`, how many were read, and whether
    that were all; stop as soon as nothing is left to find."""
    found: set[str] = set()
    seen, whole = 0, True
    for message, part_of_more in messages:
        seen += bool(message)
        whole = whole and not part_of_more
        found |= {read_message(message)[0]} & wanted
        if len(found) == len(wanted):
            break
    return frozenset(found), seen, whole


def read_message(message: bytes) -> tuple[str, int]:
    """Return a message's task id (empty if it has none) and number of retries."""
    try:
        decoded = _message_decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", 0
    task_id = decoded.headers.id or decoded.properties.correlation_id or ""
    return task_id, decoded.headers.retries or 0


def _iter_queued(client: Any, lists: list[str]) -> Iterator[tuple[bytes, bool]]:
    """Yield the messages of all lists."""
    with client.pipeline(transaction=False) as pipe:
        # One pipeline reads them: most of these lists do not exist.
        for name in lists:
            pipe.llen(name)
        sizes = pipe.execute()
    for name, size in zip(lists, sizes, strict=True):
        if size:
            yield from _iter_list(client, name, size)


def _iter_list(client: Any, name: str, size: int) -> Iterator[tuple[bytes, bool]]:
    limit = MAX_MESSAGES
    if size > MAX_MESSAGES:
        limit = MAX_MESSAGES // 2
        yield b"", True
        # The end from which is taken, in one step: it moves.
        for message in client.lrange(name, -limit, -1):
            yield message, False
    # A new message on the left shifts the others: they are read twice, never missed.
    for start in range(0, limit, READ_BATCH):
        part = client.lrange(name, start, min(start + READ_BATCH, limit) - 1)
        for message in part:
            yield message, False
        if len(part) < READ_BATCH:
            return


def _iter_unacked(client: Any, key: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the messages that were given out and are not confirmed."""
    cursor, seen = 0, 0
    while True:
        cursor, stored = client.hscan(key, cursor, count=READ_BATCH)
        for message in cast(dict[bytes, bytes], stored).values():
            seen += 1
            yield _decode_unacked(message), False
        if int(cursor) == 0:
            return
        if seen >= MAX_MESSAGES:
            yield b"", True
            return


def _decode_unacked(stored: bytes) -> bytes:
    try:
        return bytes(unacked_decoder.decode(stored)[0])
    except msgspec.MsgspecError:
        return b""


# -- AMQP ---------------------------------------------------------------------------


def _count_in_amqp(
    connection: Connection, names: list[str], known: Mapping[str, int]
) -> QueueLookupResult:
    """Count: a message cannot be seen there without taking it."""
    # The order is that of a message's way: a message that moves on is seen again.
    counted = count_delayed(connection)
    counted |= count_queues(connection, names[:MAX_QUEUES])
    doubt = find_uncertainty(counted, known)
    if len(names) > MAX_QUEUES:
        doubt = doubt or f"of {len(names)} queues only {MAX_QUEUES} were looked at"
    seen = sum(one.messages or 0 for one in counted.values())
    consumers = {name: one.consumers or 0 for name, one in counted.items()}
    return QueueLookupResult(
        is_complete=not doubt, checked=seen, uncertainty=doubt, consumers=consumers
    )
