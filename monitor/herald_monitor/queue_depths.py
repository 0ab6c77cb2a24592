"""How many messages wait in each queue, asked of the broker without taking any.

A Redis broker keeps a queue in lists, one for each step of priority, whose right
end is the oldest message. An AMQP broker tells its numbers to who declares a queue
passively. Elsewhere nothing is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import redis
from celery import Celery
from kombu import Connection

from herald_monitor.amqp_queues import count_queues
from herald_monitor.askers import Askers
from herald_monitor.broker_queues import (
    MOST_QUEUES,
    QueuesUnreachable,
    given_out,
    lists_of,
    read_message,
    steps_of,
)
from herald_monitor.consumers import (
    broker_connection,
    broker_refusal,
    is_amqp,
    let_go,
)
from herald_monitor.project_options import project_options
from herald_monitor.redis_consumer import reads_directly

WITHIN = 8.0
"""Seconds that the broker has for all queues together."""

MOST_UNACKED = 2_000
"""Messages given out beyond which they are not counted by queue."""


class Oldest(msgspec.Struct, frozen=True):
    """A message that waits longest at its priority; how often it was retried."""

    task_id: str
    retries: int = 0


class Depth(msgspec.Struct, frozen=True):
    """A queue's numbers; None where the broker does not tell.

    `oldest` are the messages that wait longest, one for each priority in use.
    """

    depth: int | None = None
    unacked: int | None = None
    consumer_count: int | None = None
    oldest: tuple[Oldest, ...] = ()


UNKNOWN = Depth()


class QueueDepths:
    """Asks the broker of `app`, on a thread of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._askers = Askers("herald-depths", 1)
        self.options = project_options(app)

    def own(self) -> list[str]:
        """Return the queues that the app's settings name, its routes included."""
        conf = cast(Any, self._app).conf
        named = map(str, cast(Any, self._app).amqp.queues) if conf.task_queues else ()
        return [*named, *routed(conf.task_routes)]

    def implied(self) -> str:
        """Return Celery's default queue, which perhaps nobody uses."""
        return str(cast(Any, self._app).conf.task_default_queue)

    async def measure(
        self, names: Sequence[str], within: float = WITHIN
    ) -> dict[str, Depth]:
        """Return the numbers of up to `MOST_QUEUES` queues; not of missing ones.

        Raises `QueuesUnreachable`, at the latest after `within` seconds.
        """
        asked = list(names)[:MOST_QUEUES]
        try:
            [found] = await self._askers.ask(
                lambda _: self._look(asked), [None], within
            )
        except Exception as error:  # any library's error
            silence = f"no answer within {within:g} s"
            why = broker_refusal(self._app, error, silence)
            raise QueuesUnreachable(f"the queues cannot be measured: {why}") from error
        return found

    def close(self) -> None:
        """Let the thread end."""
        self._askers.close()

    def _look(self, names: list[str]) -> dict[str, Depth]:
        if self.options.check(ask_all=True):
            return dict.fromkeys(names, UNKNOWN)
        connection = broker_connection(self._app)
        try:
            if reads_directly(connection):
                return _in_redis(connection, names)
            if is_amqp(connection):
                return _over_amqp(connection, names)
            return dict.fromkeys(names, UNKNOWN)
        finally:
            let_go(connection)


def routed(routes: object) -> list[str]:
    """Return the queues that `task_routes` names. What is a function tells none."""
    if isinstance(routes, list | tuple):
        return [
            name for one in cast("Sequence[object]", routes) for name in routed(one)
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


def _in_redis(connection: Connection, names: list[str]) -> dict[str, Depth]:
    channel = cast(Any, connection).channel()
    # kombu's client would put its prefix before the keys of some commands only.
    client: Any = redis.Redis(connection_pool=channel.client.connection_pool)
    steps = len(steps_of(channel))
    lists = lists_of(channel, names)
    sizes = _piped(client, [("LLEN", name) for name in lists])
    used = [name for name, size in zip(lists, sizes, strict=True) if size]
    ends = dict(
        zip(used, _piped(client, [("LINDEX", n, -1) for n in used]), strict=True)
    )
    unacked = _unacked(client, f"{channel.global_keyprefix}{channel.unacked_key}")
    found: dict[str, Depth] = {}
    for number, name in enumerate(names):
        part = slice(number * steps, (number + 1) * steps)
        found[name] = Depth(
            depth=sum(sizes[part]),
            unacked=None if unacked is None else unacked[name],
            oldest=_oldest([ends[one] for one in lists[part] if ends.get(one)]),
        )
    return found


def _piped(client: Any, commands: Sequence[tuple[object, ...]]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return cast("list[Any]", pipe.execute())


def _oldest(messages: Sequence[bytes]) -> tuple[Oldest, ...]:
    told = (read_message(message) for message in messages)
    return tuple(Oldest(task_id, retries) for task_id, retries in told if task_id)


def _unacked(client: Any, key: str) -> Counter[str] | None:
    """Count the messages given out by routing key, which is the queue's name.

    So it is unless an exchange of the project's own routes otherwise; None if they
    are too many to be looked at.
    """
    if client.hlen(key) > MOST_UNACKED:
        return None
    counted: Counter[str] = Counter()
    for stored in client.hvals(key):
        try:
            counted[msgspec.json.decode(given_out.decode(stored)[2], type=str)] += 1
        except msgspec.MsgspecError:
            continue
    return counted


# -- AMQP ---------------------------------------------------------------------------


def _over_amqp(connection: Connection, names: list[str]) -> dict[str, Depth]:
    counted = count_queues(connection, names)
    return {
        name: Depth(depth=one.messages, consumer_count=one.consumers)
        for name, one in counted.items()
    }
