"""Looks which queues somebody names now, and what lies under their names.

The settings of the app, its tasks, and living workers name queues. On a Redis broker
a queue is a list of messages: a key that holds anything else is none.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, cast

import msgspec
import redis
from celery import Celery

from herald_monitor.broker_queues import lists_of
from herald_monitor.consumers import broker_connection, let_go
from herald_monitor.inspection import Inspection, WorkersUnreachable
from herald_monitor.queue_depths import routed
from herald_monitor.redis_consumer import reads_directly
from herald_monitor.store import Reader
from herald_server.queue_names import BadQueue, reserved
from herald_server.sending import BrokerUnreachable, Sender

ASK_WITHIN: Final = 1.0
"""Seconds that workers have to say what they consume."""

ASK_EVERY: Final = 2.0
"""Seconds between two questions to all workers: wrong names must not cause many."""

REMEMBERED: Final = 3_600.0
"""Seconds for which a queue that was consumed stays known: workers restart."""

CHECKED_FOR: Final = 5.0
MOST_CHECKED: Final = 1_000


class QueueCheck:
    """Knows the queues that a start may go to, for one server process."""

    def __init__(self, sender: Sender, reader: Reader) -> None:
        self.ask_within = ASK_WITHIN
        self._sender = sender
        self._reader = reader
        self._consumed: dict[str, float] = {}
        self._asked = float("-inf")
        self._checked: dict[str, float] = {}

    async def known(self, names: Iterable[str | None]) -> frozenset[str]:
        """Return which of `names` settings or workers name.

        Raises `StoreError`, `BrokerUnreachable`.
        """
        wanted = {name for name in names if name and not reserved(name)}
        if not wanted:
            return frozenset()
        found = wanted & {*named_by(self._sender.app)}
        if wanted > found:
            found |= await self._consumed_of(wanted - found)
        return frozenset(found)

    async def _consumed_of(self, wanted: set[str]) -> set[str]:
        now = time.monotonic()
        queues = await self._reader.queues()
        self._note([one.name for one in queues if one.consumers], now)
        if not wanted <= self._consumed.keys() and now >= self._asked + ASK_EVERY:
            self._asked = now
            self._note(await self._ask(), now)
        return {name for name in wanted if self._consumed.get(name, 0.0) > now}

    def _note(self, names: Iterable[str], now: float) -> None:
        kept = {name: until for name, until in self._consumed.items() if until > now}
        self._consumed = {**kept, **dict.fromkeys(names, now + REMEMBERED)}

    async def _ask(self) -> set[str]:
        inspection = Inspection(self._sender.app)
        try:
            told = await inspection.consumed(self.ask_within)
        except WorkersUnreachable as error:
            raise BrokerUnreachable(str(error)) from error
        finally:
            inspection.close()
        return {one.name for queues in told.queues.values() for one in queues}

    async def refuse_foreign(self, names: Iterable[str | None]) -> None:
        """Raise `BadQueue` for a name under which no messages lie at the broker.

        Raises `BrokerUnreachable`.
        """
        now = time.monotonic()
        wanted = {n for n in names if n and self._checked.get(n, 0.0) <= now}
        if not wanted:
            return
        app = self._sender.app
        if foreign := await self._sender.do(lambda: foreign_keys(app, wanted)):
            raise BadQueue(
                f"nothing is sent to {foreign[0][:80]!r}: the broker keeps something "
                "else under that name. Name another queue"
            )
        if len(self._checked) > MOST_CHECKED:
            self._checked.clear()
        self._checked.update(dict.fromkeys(wanted, now + CHECKED_FOR))


def named_by(app: Celery) -> Iterator[str]:
    """Yield the queues that the settings of `app` and the options of its tasks name."""
    conf = cast(Any, app).conf
    yield str(conf.task_default_queue)
    for queue in cast("Iterable[object]", conf.task_queues or ()):
        # A mapping has names for keys.
        yield str(getattr(queue, "name", queue))
    yield from routed(conf.task_routes)
    tasks = cast("Mapping[str, object]", cast(Any, app).tasks)
    for task in tasks.values():
        if isinstance(queue := getattr(task, "queue", None), str):
            yield queue


class _Message(msgspec.Struct):
    """What of a message shows that it is one."""

    properties: msgspec.Raw


def foreign_keys(app: Celery, names: Collection[str]) -> list[str]:
    """Return those of `names` whose keys hold something else than messages."""
    connection = broker_connection(app)
    try:
        if not reads_directly(connection):
            return []
        channel = cast(Any, connection).channel()
        # kombu's client would put its prefix before the keys of some commands only.
        client = redis.Redis(connection_pool=channel.client.connection_pool)
        own = {
            channel.unacked_key,
            channel.unacked_index_key,
            channel.unacked_mutex_key,
        }
        asked = [(name, key) for name in names for key in lists_of(channel, [name])]
        with client.pipeline(transaction=False) as pipe:
            for _, key in asked:
                pipe.lindex(key, 0)
            newest = pipe.execute(raise_on_error=False)
    finally:
        let_go(connection)
    found = {n for (n, _), one in zip(asked, newest, strict=True) if is_foreign(one)}
    return sorted(found | (own & {*names}))


def is_foreign(newest: object) -> bool:
    """Say whether what lies newest under a key is no message; None: nothing does."""
    if newest is None:
        return False
    if isinstance(newest, Exception):
        return "WRONGTYPE" in str(newest)
    try:
        msgspec.json.decode(cast(bytes, newest), type=_Message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    return False
