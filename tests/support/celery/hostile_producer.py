"""A worker that means harm: odd events, floods of names, bombs, and huge texts.

`python -m tests.support.celery.hostile_producer BROKER --seconds N` publishes them on a
Redis broker and prints as JSON how many of each kind there were. None is of a task
named `shop.*`.
"""

import argparse
import base64
import bz2
import json
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import redis

BURST = 5
"""Events of one kind in a row."""

SLOW = ("password=" + "{<" * 4_000 + "\\\\'", "bearer a " * 900, "token='" * 1_100)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 1e308, 10**30, 2**63, "", "\x00", "\x1b[2J\n", "\ud800", [[]]),
    *({"a": {}}, "9999-12-31T23:59:59+23:59", "A" * 50_000, "*", "../x", "%s%n"),
)
FIELDS = (
    *("uuid", "timestamp", "hostname", "pid", "clock", "name", "args", "kwargs"),
    *("queue", "root_id", "parent_id", "retries", "eta", "expires", "result", "type"),
    *(
        "tags",
        "stamps",
        "group_id",
        "group_index",
        "chord_id",
        "traceparent",
        "priority",
    ),
    *("exception", "traceback", "runtime", "freq", "active", "loadavg", "percent"),
)
KINDS = (
    *("task-sent", "task-received", "task-started", "task-succeeded", "task-failed"),
    *("task-retried", "task-revoked", "task-progress", "worker-heartbeat", "x-y"),
)


class Producer:
    """Publishes on the broker's channel as kombu does."""

    def __init__(self, client: redis.Redis, seed: int = 7) -> None:
        self._client = client
        self.random = random.Random(seed)
        self.number = 0

    def publish(self, body: bytes, **headers: object) -> None:
        """Publish a message whose body is `body`."""
        told = {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {"body_encoding": "base64"},
        }
        self._client.publish("/0.celeryev/task.sent", json.dumps(told))

    def event(self, kind: str = "task-received", **more: object) -> dict[str, Any]:
        """Return an event of a new task."""
        self.number += 1
        return {
            "type": kind,
            "uuid": f"hostile-{self.number}",
            "name": "hostile.task",
            "hostname": "w@hostile",
            "pid": 7,
            "clock": self.number,
            "timestamp": time.time(),
            "utcoffset": 0,
            **more,
        }

    def tell(self, *events: dict[str, Any]) -> None:
        """Publish events in one message."""
        self.publish(json.dumps(events).encode())


def odd(producer: Producer) -> None:
    event = producer.event(producer.random.choice(KINDS))
    event["uuid"] = f"odd-{producer.random.randrange(50)}"
    for field in producer.random.sample(FIELDS, 4):
        event[field] = producer.random.choice(VALUES)
    producer.tell(event)


def no_json(producer: Producer) -> None:
    bodies = (b"[" * 50_000, b'{"a":' * 50_000, b"\xff\x00", b"null", b"1e999")
    producer.publish(producer.random.choice(bodies))


@cache
def bomb(compress: Callable[[bytes], bytes]) -> bytes:
    """Return what is 20 MB once it is unpacked. Packing takes a second."""
    return compress(b" " * 20_000_000)


def bombs(producer: Producer) -> None:
    producer.publish(bomb(bz2.compress), compression="bzip2")
    producer.publish(bomb(zlib.compress), compression="zlib")


def slow_texts(producer: Producer) -> None:
    text = producer.random.choice(SLOW)
    more = dict.fromkeys(("args", "kwargs", "exception", "traceback"), text)
    producer.tell(producer.event("task-failed", **more))


def huge(producer: Producer) -> None:
    producer.tell(producer.event("task-succeeded", result="A" * 1_000_000))


def names(producer: Producer) -> None:
    told = [
        producer.event(name=f"n{number}.{producer.number}", queue=f"q{number}")
        for number in range(20)
    ]
    producer.tell(*told)


def workers(producer: Producer) -> None:
    number = producer.random.randrange(2_000)
    producer.tell(
        producer.event("worker-heartbeat", hostname=f"w{number}@hostile", freq=2.0)
    )


def odd_numbers(producer: Producer) -> None:
    producer.tell(producer.event("task-succeeded", result="1", runtime=1e308))


ACTS: list[Callable[[Producer], None]] = [
    *(odd, no_json, bombs, slow_texts, huge, names, workers, odd_numbers),
]


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("broker")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pause", type=float, default=0.3)
    parser.add_argument("--only", help="one kind of act")
    given = parser.parse_args()
    acts = [act for act in ACTS if given.only in (None, act.__name__)]
    until, told = time.monotonic() + given.seconds, Counter[str]()
    with redis.Redis.from_url(given.broker) as client:
        producer = Producer(client)
        while time.monotonic() < until:
            act = producer.random.choice(acts)
            for _ in range(1 if act is bombs else BURST):
                act(producer)
                told[act.__name__] += 1
            time.sleep(given.pause)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
