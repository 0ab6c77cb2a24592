"""The number of waiting messages in each queue, without consuming any.

A Redis broker stores a queue in lists, one for each priority step, whose right end is
the oldest message. An AMQP broker returns its counts on a passive declaration, and
Amazon SQS those of the last minute. Other brokers return nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import redis
from celery import Celery
from kombu import Connection

from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.broker.connection import (
    can_read_directly,
    connect_broker,
    describe_broker_error,
    drop_connection,
    is_amqp,
)
from herald_monitor.celery_client.queues.amqp import count_queues
from herald_monitor.celery_client.queues.lookup import (
    MAX_QUEUES,
    QueuesUnreachable,
    list_priority_keys,
    list_priority_steps,
    read_message,
    unacked_decoder,
)
from herald_monitor.celery_client.queues.sqs import count_sqs_queues, is_sqs

READ_TIMEOUT_S = 8.0
"""Seconds that the broker has for all queues together."""

MAX_UNACKED = 2_000
"""Messages given out beyond which they are not counted by queue."""


class OldestMessage(msgspec.Struct, frozen=True):
    """A message that waits longest at its priority; how often it was retried."""

    task_id: str
    retries: int = 0


class QueueDepth(msgspec.Struct, frozen=True):
    """A queue's counts; None if the broker does not return them.

    `oldest` are the oldest waiting messages, one for each priority in use.
    """

    depth: int | None = None
    unacked: int | None = None
    consumer_count: int | None = None
    oldest: tuple[OldestMessage, ...] = ()


UNKNOWN_DEPTH = QueueDepth()


class QueueDepthReader:
    """A reader of the queues of `app`'s broker, on a thread of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._threads = TimedThreadPool("herald-depths", 1)
        self.options = get_project_options(app)

    def list_own_queues(self) -> list[str]:
        """Return the queues that the app's settings name, its routes included."""
        conf = cast(Any, self._app).conf
        named = map(str, cast(Any, self._app).amqp.queues) if conf.task_queues else ()
        return [*named, *list_routed_queues(conf.task_routes)]

    def get_default_queue(self) -> str:
        """Return Celery's default queue, which may be unused."""
        return str(cast(Any, self._app).conf.task_default_queue)

    async def measure(
        self, names: Sequence[str], timeout_s: float = READ_TIMEOUT_S
    ) -> dict[str, QueueDepth]:
        """Return the numbers of up to `MAX_QUEUES` queues; not of missing ones.

        Raises `QueuesUnreachable`, at the latest after `timeout_s`.
        """
        measured = list(names)[:MAX_QUEUES]
        try:
            [found] = await self._threads.map(
                lambda _: self._measure_on_thread(measured), [None], timeout_s
            )
        except Exception as error:  # any library's error
            silence = f"no answer within {timeout_s:g} s"
            why = describe_broker_error(self._app, error, silence)
            raise QueuesUnreachable(f"the queues cannot be measured: {why}") from error
        return found

    def close(self) -> None:
        """Let the thread end."""
        self._threads.close()

    def _measure_on_thread(self, names: list[str]) -> dict[str, QueueDepth]:
        if self.options.check(ask_all=True):
            return dict.fromkeys(names, UNKNOWN_DEPTH)
        connection = connect_broker(self._app)
        try:
            if can_read_directly(connection):
                return _measure_redis(connection, names)
            if is_amqp(connection):
                return _measure_amqp(connection, names)
            if is_sqs(connection):
                return _measure_sqs(connection, names)
            return dict.fromkeys(names, UNKNOWN_DEPTH)
        finally:
            drop_connection(connection)


def list_routed_queues(routes: object) -> list[str]:
    """Return the queues that `task_routes` names. A function names none."""
    if isinstance(routes, list | tuple):
        return [
            name
            for one in cast("Sequence[object]", routes)
            for name in list_routed_queues(one)
        ]
    if not isinstance(routes, Mapping):
        return []
    found: list[str] = []
    for route in cast("Mapping[object, object]", routes).values():
        to = route
        if isinstance(route, Mapping):
            to = cast("Mapping[str, object]", route).get("queue")
        name = getattr(to, "name", to)
        if isinstance(name, str):
            found.append(name)
    return found


# -- Redis ------------------------------------------------------------------------


def _measure_redis(connection: Connection, names: list[str]) -> dict[str, QueueDepth]:
    channel = cast(Any, connection).channel()
    # kombu's client would put its prefix before the keys of some commands only.
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    steps = len(list_priority_steps(channel))
    lists = list_priority_keys(channel, names)
    sizes = _run_pipeline(client, [("LLEN", name) for name in lists])
    used = [name for name, size in zip(lists, sizes, strict=True) if size]
    ends = dict(
        zip(used, _run_pipeline(client, [("LINDEX", n, -1) for n in used]), strict=True)
    )
    unacked = _count_unacked(client, f"{channel.global_keyprefix}{channel.unacked_key}")
    found: dict[str, QueueDepth] = {}
    for number, name in enumerate(names):
        part = slice(number * steps, (number + 1) * steps)
        found[name] = QueueDepth(
            depth=sum(sizes[part]),
            unacked=None if unacked is None else unacked[name],
            oldest=_find_oldest([ends[one] for one in lists[part] if ends.get(one)]),
        )
    return found


def _run_pipeline(client: Any, commands: Sequence[tuple[object, ...]]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return cast("list[Any]", pipe.execute())


def _find_oldest(messages: Sequence[bytes]) -> tuple[OldestMessage, ...]:
    decoded = (read_message(message) for message in messages)
    return tuple(
        OldestMessage(task_id, retries) for task_id, retries in decoded if task_id
    )


def _count_unacked(client: Any, key: str) -> Counter[str] | None:
    """Count the unacknowledged messages by routing key, which is the queue's name.

    A project's own exchange may route otherwise. None if there are too many to read.
    """
    if client.hlen(key) > MAX_UNACKED:
        return None
    counted: Counter[str] = Counter()
    for stored in client.hvals(key):
        try:
            counted[
                msgspec.json.decode(unacked_decoder.decode(stored)[2], type=str)
            ] += 1
        except msgspec.MsgspecError:
            continue
    return counted


# -- Amazon SQS ---------------------------------------------------------------------


def _measure_sqs(connection: Connection, names: list[str]) -> dict[str, QueueDepth]:
    counted = count_sqs_queues(connection, names)
    return {
        name: QueueDepth(depth=one.waiting, unacked=one.given_out)
        for name, one in counted.items()
    }


# -- AMQP ---------------------------------------------------------------------------


def _measure_amqp(connection: Connection, names: list[str]) -> dict[str, QueueDepth]:
    counted = count_queues(connection, names)
    return {
        name: QueueDepth(depth=one.messages, consumer_count=one.consumers)
        for name, one in counted.items()
    }
