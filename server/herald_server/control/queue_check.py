"""Check which queues are in use, and what is stored under their names.

Queues are named by the settings of the app, by its tasks and by live workers. On a
Redis broker a queue is a list of messages: a key that contains anything else is not a
queue.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, cast

import msgspec
import redis
from celery import Celery

from herald_core.store.ports import TaskReader
from herald_monitor.celery_client.broker.connection import (
    can_read_directly,
    connect_broker,
    drop_connection,
)
from herald_monitor.celery_client.broker.transport import has_fanout
from herald_monitor.celery_client.queues.depths import list_routed_queues
from herald_monitor.celery_client.queues.lookup import list_priority_keys
from herald_monitor.celery_client.workers.inspect import (
    WorkerInspector,
    WorkersUnreachable,
)
from herald_server.control.queue_names import BadQueue, is_reserved
from herald_server.control.start.publisher import BrokerUnreachable, TaskPublisher

ASK_TIMEOUT_S: Final = 1.0
"""Seconds in which workers answer with the queues that they consume."""

ASK_INTERVAL_S: Final = 2.0
"""Seconds between two questions to all workers: wrong names must not cause many."""

CONSUMED_TTL_S: Final = 3_600.0
"""Seconds for which a consumed queue stays known: workers restart."""

CHECK_TTL_S: Final = 5.0
MAX_CHECKED: Final = 1_000


class QueueValidator:
    """Validates the queues of starts, for one server process."""

    def __init__(self, sender: TaskPublisher, reader: TaskReader) -> None:
        self.ask_timeout_s = ASK_TIMEOUT_S
        self._sender = sender
        self._reader = reader
        self._consumed: dict[str, float] = {}
        self._asked_at = float("-inf")
        self._checked: dict[str, float] = {}

    async def find_known(self, names: Iterable[str | None]) -> frozenset[str]:
        """Return the queues among `names` that settings or workers name.

        Raises `StoreError`, `BrokerUnreachable`.
        """
        wanted = {name for name in names if name and not is_reserved(name)}
        if not wanted:
            return frozenset()
        found = wanted & {*list_named_queues(self._sender.app)}
        if wanted > found:
            found |= await self._find_consumed(wanted - found)
        return frozenset(found)

    async def _find_consumed(self, wanted: set[str]) -> set[str]:
        now = time.monotonic()
        queues = await self._reader.list_queues()
        self._record([one.name for one in queues if one.consumers], now)
        if not has_fanout(self._sender.app):
            # Workers do not answer; what they received shows where they listen.
            since = time.time() - CONSUMED_TTL_S
            self._record(await self._reader.list_queue_names(since), now)
        if (
            not wanted <= self._consumed.keys()
            and now >= self._asked_at + ASK_INTERVAL_S
        ):
            self._asked_at = now
            self._record(await self._ask_workers(), now)
        return {name for name in wanted if self._consumed.get(name, 0.0) > now}

    def _record(self, names: Iterable[str], now: float) -> None:
        known = {name: until for name, until in self._consumed.items() if until > now}
        self._consumed = {**known, **dict.fromkeys(names, now + CONSUMED_TTL_S)}

    async def _ask_workers(self) -> set[str]:
        inspection = WorkerInspector(self._sender.app)
        try:
            reply = await inspection.read_active_queues(self.ask_timeout_s)
        except WorkersUnreachable as error:
            raise BrokerUnreachable(str(error)) from error
        finally:
            inspection.close()
        return {one.name for queues in reply.queues.values() for one in queues}

    async def refuse_foreign(self, names: Iterable[str | None]) -> None:
        """Raise `BadQueue` if a broker key of that name contains no messages.

        Raises `BrokerUnreachable`.
        """
        now = time.monotonic()
        wanted = {n for n in names if n and self._checked.get(n, 0.0) <= now}
        if not wanted:
            return
        app = self._sender.app
        if foreign := await self._sender.run_in_thread(
            lambda: find_foreign_keys(app, wanted)
        ):
            raise BadQueue(
                f"nothing is sent to {foreign[0][:80]!r}: the broker keeps something "
                "else under that name. Name another queue"
            )
        if len(self._checked) > MAX_CHECKED:
            self._checked.clear()
        self._checked.update(dict.fromkeys(wanted, now + CHECK_TTL_S))


def list_named_queues(app: Celery) -> Iterator[str]:
    """Yield the queues that the settings of `app` and the options of its tasks name."""
    conf = cast(Any, app).conf
    yield str(conf.task_default_queue)
    for queue in cast("Iterable[object]", conf.task_queues or ()):
        # A mapping has names for keys.
        yield str(getattr(queue, "name", queue))
    yield from list_routed_queues(conf.task_routes)
    tasks = cast("Mapping[str, object]", cast(Any, app).tasks)
    for task in tasks.values():
        if isinstance(queue := getattr(task, "queue", None), str):
            yield queue


class _BrokerMessage(msgspec.Struct):
    """The part of a message that identifies it as one."""

    properties: msgspec.Raw


def find_foreign_keys(app: Celery, names: Collection[str]) -> list[str]:
    """Return those of `names` whose keys hold something else than messages."""
    connection = connect_broker(app)
    try:
        if not can_read_directly(connection):
            return []
        channel = cast(Any, connection).channel()
        # kombu's client would put its prefix before the keys of some commands only.
        client = redis.Redis(connection_pool=channel.client.connection_pool)
        own = {
            channel.unacked_key,
            channel.unacked_index_key,
            channel.unacked_mutex_key,
        }
        keys = [
            (name, key) for name in names for key in list_priority_keys(channel, [name])
        ]
        with client.pipeline(transaction=False) as pipe:
            for _, key in keys:
                pipe.lindex(key, 0)
            newest = pipe.execute(raise_on_error=False)
    finally:
        drop_connection(connection)
    found = {n for (n, _), one in zip(keys, newest, strict=True) if is_foreign(one)}
    return sorted(found | (own & {*names}))


def is_foreign(newest: object) -> bool:
    """Return True if the newest item of a key is not a message; None: it is empty."""
    if newest is None:
        return False
    if isinstance(newest, Exception):
        return "WRONGTYPE" in str(newest)
    try:
        msgspec.json.decode(cast(bytes, newest), type=_BrokerMessage)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    return False
