"""Whether tasks still wait at the broker, as far as that can be seen without taking.

A Redis broker keeps its queues in lists that can be read: one for each step of
priority, and a hash of the messages that were given out and are not confirmed.
An AMQP broker shows only how many messages lie in a queue, so a task may wait in
any queue that is not empty. Elsewhere nothing can be seen.
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

from herald_monitor.amqp_queues import count_delayed, count_queues, find_doubt
from herald_monitor.askers import Askers
from herald_monitor.consumers import (
    broker_connection,
    broker_refusal,
    is_amqp,
    let_go,
)
from herald_monitor.errors import HeraldError
from herald_monitor.project_evidence import find_bound_queues
from herald_monitor.project_options import project_options
from herald_monitor.redis_consumer import reads_directly

MOST = 10_000
"""Messages of one list, or of the hash, that are looked at: half from each end."""

STEP = 500
WITHIN = 10.0
MOST_QUEUES = 500
USUAL_STEPS = range(10)

BOUND_EVERY = 20.0
"""Seconds between two searches for queues that were declared."""
NOBODY: Mapping[str, int] = {}


class Waiting(msgspec.Struct, frozen=True):
    """What a look at the queues found. `known`: what was not found does not wait.

    `doubt` is why that is not known.
    `consumers` is how many take from each queue, where the broker tells: RabbitMQ,
    which does not tell what it gave to them.
    """

    queued: frozenset[str] = frozenset()
    unacked: frozenset[str] = frozenset()
    known: bool = False
    looked_at: int = 0
    doubt: str = ""
    consumers: Mapping[str, int] = {}


class QueuesUnreachable(HeraldError):
    """The broker did not answer."""


class _Headers(msgspec.Struct, frozen=True):
    id: str | None = None
    retries: int | None = None


class _Properties(msgspec.Struct, frozen=True):
    correlation_id: str | None = None


class Message(msgspec.Struct, frozen=True):
    """What of a task's message as kombu keeps it in Redis is of use here."""

    headers: _Headers = _Headers()
    properties: _Properties = _Properties()


_message = msgspec.json.Decoder(Message)
given_out = msgspec.json.Decoder(tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw])


class BrokerQueues:
    """The queues of `app`'s broker: those that it names, and those that are told."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._askers = Askers("herald-queues", 1)
        self._bound_queues: set[str] = set()
        self._bound_at = float("-inf")

    async def look(
        self,
        ids: Collection[str],
        queues: Iterable[str],
        within: float = WITHIN,
        *,
        consumers: Mapping[str, int] = NOBODY,
    ) -> Waiting:
        """Look for the tasks `ids` in `queues` and those of the app's settings.

        `consumers` is how many workers of each queue said what they hold. Stops when
        all are found. Raises `QueuesUnreachable`.
        """
        names = list(dict.fromkeys(chain(self._own(), queues)))
        wanted = frozenset(ids)
        if not wanted:
            return Waiting(known=True)
        try:
            [found] = await self._askers.ask(
                lambda _: self._look(wanted, names, consumers), [None], within
            )
        except Exception as error:  # any library's error
            silence = f"no answer within {within:.0f} s"
            why = broker_refusal(self._app, error, silence)
            raise QueuesUnreachable(f"the queues cannot be seen: {why}") from error
        return found

    def close(self) -> None:
        """Let the thread end."""
        self._askers.close()

    def _bound(self, connection: Connection) -> set[str]:
        """Return the queues that were ever declared, as they were a little ago."""
        now = time.monotonic()
        if now >= self._bound_at + BOUND_EVERY:
            self._bound_at, self._bound_queues = now, find_bound_queues(connection)
        return self._bound_queues

    def _own(self) -> list[str]:
        return [str(name) for name in cast(Any, self._app).amqp.queues]

    def _look(
        self, wanted: frozenset[str], names: list[str], consumers: Mapping[str, int]
    ) -> Waiting:
        if problem := project_options(self._app).check():
            return Waiting(doubt=problem)
        connection = broker_connection(self._app)
        try:
            if reads_directly(connection):
                names = list(dict.fromkeys([*names, *self._bound(connection)]))
                return _look_in_redis(connection, wanted, names)
            if is_amqp(connection):
                return _look_at_amqp(connection, names, consumers)
            return Waiting(doubt="this kind of broker shows no messages")
        finally:
            let_go(connection)


# -- Redis ------------------------------------------------------------------------


def _look_in_redis(
    connection: Connection, wanted: frozenset[str], names: list[str]
) -> Waiting:
    channel = cast(Any, connection).channel()
    # kombu's client would put its prefix before the keys of some commands only.
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    lists = lists_of(channel, names[:MOST_QUEUES])
    queued, seen, whole = _search(_queued(client, lists), wanted)
    left = wanted - queued
    given_out = f"{channel.global_keyprefix}{channel.unacked_key}"
    unacked, more, all_seen = _search(_unacked(client, given_out), left)
    known = whole and all_seen and len(names) <= MOST_QUEUES
    return Waiting(queued, unacked, known or not left - unacked, seen + more)


def lists_of(channel: Any, names: Sequence[str]) -> list[str]:
    """Return the keys of `names`: one a queue and step of priority, as kombu does."""
    prefix, sep = channel.global_keyprefix, channel.sep
    return [
        f"{prefix}{name}{sep}{step}" if step else f"{prefix}{name}"
        for name in names
        for step in steps_of(channel)
    ]


def steps_of(channel: Any) -> list[int]:
    """Return the steps of priority in which messages may lie.

    Whoever sends decides on them, so those that projects usually choose are among
    them, whatever this app's are.
    """
    return sorted({0, *USUAL_STEPS, *channel.priority_steps})


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
        told = _message.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", 0
    task_id = told.headers.id or told.properties.correlation_id or ""
    return task_id, told.headers.retries or 0


def _queued(client: Any, lists: list[str]) -> Iterator[tuple[bytes, bool]]:
    """Yield the messages of all lists."""
    with client.pipeline(transaction=False) as pipe:
        # Asked for at once: most of these lists do not even exist.
        for name in lists:
            pipe.llen(name)
        sizes = pipe.execute()
    for name, size in zip(lists, sizes, strict=True):
        if size:
            yield from _listed(client, name, size)


def _listed(client: Any, name: str, size: int) -> Iterator[tuple[bytes, bool]]:
    most = MOST
    if size > MOST:
        most = MOST // 2
        yield b"", True
        # The end from which is taken, in one step: it moves.
        for message in client.lrange(name, -most, -1):
            yield message, False
    # What comes in on the left pushes others on: they are met twice, never missed.
    for start in range(0, most, STEP):
        part = client.lrange(name, start, min(start + STEP, most) - 1)
        for message in part:
            yield message, False
        if len(part) < STEP:
            return


def _unacked(client: Any, key: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the messages that were given out and are not confirmed."""
    cursor, seen = 0, 0
    while True:
        cursor, stored = client.hscan(key, cursor, count=STEP)
        for message in cast(dict[bytes, bytes], stored).values():
            seen += 1
            yield _inner(message), False
        if int(cursor) == 0:
            return
        if seen >= MOST:
            yield b"", True
            return


def _inner(stored: bytes) -> bytes:
    try:
        return bytes(given_out.decode(stored)[0])
    except msgspec.MsgspecError:
        return b""


# -- AMQP ---------------------------------------------------------------------------


def _look_at_amqp(
    connection: Connection, names: list[str], known: Mapping[str, int]
) -> Waiting:
    """Count: a message cannot be seen there without taking it."""
    # In the order in which a message travels: what moves on is met again.
    counted = count_delayed(connection)
    counted |= count_queues(connection, names[:MOST_QUEUES])
    doubt = find_doubt(counted, known)
    if len(names) > MOST_QUEUES:
        doubt = doubt or f"of {len(names)} queues only {MOST_QUEUES} were looked at"
    seen = sum(one.messages or 0 for one in counted.values())
    consumers = {name: one.consumers or 0 for name, one in counted.items()}
    return Waiting(known=not doubt, looked_at=seen, doubt=doubt, consumers=consumers)
