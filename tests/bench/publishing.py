"""A publisher of events: at once, at a rate, or as they are made.

`python -m tests.bench.publishing URL --tasks N [--rate EVENTS_PER_SECOND]` publishes
the lives of N tasks: sent by clients one by one, the rest by 8 workers, up to
three to a message. Without a rate it floods. With `--stamped` each message is one
`task-received` of a new task, whose args are the time at which it was published;
with `--spread` each is one event, made when it is published. `--shape 100,8,4` is over
how many names, workers and queues the tasks are spread.
"""

import argparse
import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import amqp
import hiredis
import redis
from kombu import Connection

from tests.bench.traffic import SHOP, Message, Shape, Spread, Traffic, stamped

AT_ONCE = 10
"""Messages that are packed together."""

AHEAD = 200_000
"""Bytes that are sent before the broker's answers are read."""


def flood_rabbitmq(url: str, messages: list[Message]) -> None:
    """Publish as fast as RabbitMQ takes it: the bodies alone, as Celery does there."""
    with Connection(url) as connection:
        channel: Any = cast(Any, connection).channel()
        for _, published, number in messages:
            told = json.loads(published)
            channel.basic_publish(
                amqp.Message(
                    base64.b64decode(told["body"]),
                    content_type=told["content-type"],
                    content_encoding=told["content-encoding"],
                    delivery_mode=1,
                    application_headers=told["headers"],
                ),
                exchange="celeryev",
                routing_key="task.multi" if number > 1 else "task.sent",
            )


class Packed(NamedTuple):
    """Some messages as they are sent to Redis, and how many events are in them."""

    sent: bytes
    messages: int
    events: int


def packed(messages: Iterator[Message]) -> list[Packed]:
    """Return `messages` ready to be sent.

    A publisher that packs them while it floods takes as much of a core as what it
    measures; real ones are many, and elsewhere.
    """
    found: list[Packed] = []
    part: list[Message] = []
    for message in messages:
        part.append(message)
        if len(part) >= AT_ONCE:
            found.append(_packed(part))
            part = []
    return [*found, _packed(part)] if part else found


def _packed(part: list[Message]) -> Packed:
    pack = cast(Any, hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]
    commands = [pack(("PUBLISH", channel, told)) for channel, told, _ in part]
    return Packed(b"".join(commands), len(part), sum(number for *_, number in part))


class Line:
    """A connection to Redis that only counts the answers."""

    def __init__(self, client: redis.Redis) -> None:
        self._line = cast(Any, client).connection_pool.get_connection()
        self._socket = cast(socket.socket, self._line._sock)

    def publish(self, parts: list[Packed]) -> None:
        """Send all of `parts`, and return when Redis has published them."""
        self._socket.sendall(b"".join([part.sent for part in parts]))
        left = sum(part.messages for part in parts)
        while left > 0:
            answers = self._socket.recv(65536)
            assert answers, "the broker closed the connection"
            assert b"-" not in answers, answers
            left -= answers.count(b"\n")


def flood(client: redis.Redis, parts: list[Packed]) -> None:
    """Publish as fast as the broker takes it."""
    line, ready, size = Line(client), list[Packed](), 0
    for part in parts:
        ready.append(part)
        size += len(part.sent)
        if size >= AHEAD:
            line.publish(ready)
            ready, size = [], 0
    line.publish(ready)


def in_slices(client: redis.Redis, parts: list[Packed], rate: float) -> None:
    """Publish what is made already, in slices of 5 ms."""
    line, begin, published, at = Line(client), time.perf_counter(), 0, 0
    while at < len(parts):
        upto = (time.perf_counter() - begin) * rate
        ready: list[Packed] = []
        while at < len(parts) and published < upto:
            ready.append(parts[at])
            published += parts[at].events
            at += 1
        line.publish(ready)
        time.sleep(0.005)


def paced(client: redis.Redis, messages: Iterator[Message], rate: float) -> None:
    """Publish `rate` events a second, or as many as there can be."""
    line, begin, published = Line(client), time.perf_counter(), 0
    for message in messages:
        line.publish([_packed([message])])
        published += message[2]
        ahead = published / rate - (time.perf_counter() - begin)
        if ahead > 0.0005:
            time.sleep(ahead)


def as_they_are_made(
    client: redis.Redis, messages: Iterator[Message], rate: float
) -> None:
    """Publish at `rate`, in slices of 5 ms, for as long as there are messages."""
    line, part = Line(client), list[Message]()
    begin, published = time.perf_counter(), 0
    for message in messages:
        part.append(message)
        published += message[2]
        ahead = published / rate - (time.perf_counter() - begin)
        if len(part) >= 50 or ahead > 0.005:
            line.publish([_packed(part)])
            part = []
            if ahead > 0.005:
                time.sleep(0.005)
    if part:
        line.publish([_packed(part)])


def parse_shape(text: str) -> Shape:
    """Return the shape of `NAMES,WORKERS,QUEUES`."""
    return Shape(*map(int, text.split(",")))


def main() -> None:
    """Publish what the command line asks for; print how long that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--stamped", action="store_true")
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--shape", type=parse_shape, default=SHOP)
    given = parser.parse_args()
    client = redis.Redis.from_url(given.url.replace("amqp:", "redis:"))
    with client:  # that connects with its first command
        if given.spread:
            paced(client, Spread(given.tasks).messages(), given.rate)
            return
        if given.stamped:
            paced(client, map(stamped, range(given.tasks)), given.rate)
            return
        traffic = Traffic(given.tasks, given.seed, given.shape)
        publish = _publication(client, traffic, given)
        print("ready", flush=True)
        input()
        begin = time.perf_counter()
        publish()
        print(json.dumps(time.perf_counter() - begin), flush=True)


def _publication(
    client: redis.Redis, traffic: Traffic, given: argparse.Namespace
) -> Callable[[], None]:
    """Make what can be made before; return what publishes it."""
    if given.live:
        return lambda: as_they_are_made(client, traffic.messages(), given.rate)
    if given.url.startswith("amqp"):
        made = list(traffic.messages())
        return lambda: flood_rabbitmq(given.url, made)
    ready = packed(traffic.messages())
    if given.rate:
        return lambda: in_slices(client, ready, given.rate)
    return lambda: flood(client, ready)


if __name__ == "__main__":
    main()
