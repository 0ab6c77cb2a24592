"""Event streams as Celery's workers and clients publish them on Redis."""

import base64
import time
from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec

EXCHANGE = "/0.celeryev/"
WORKERS = 8
AHEAD = (0, 8, 16, 96)
"""How many tasks behind `sent` the received, started and ended ones are."""

SPREAD = 100
AHEAD_SPREAD = (0, 30, 60, 120)
"""So far apart that the changes of a task are seldom stored together."""

NAMES = [f"shop.{area}.{what}" for area in ("mail", "orders") for what in "abcde"]
ARGS = "('%s', {'customer': 4711, 'items': [1, 2, 3], 'note': '" + "n" * 120 + "'})"


def make_name(number: int) -> str:
    """Return one of many names."""
    return f"shop.{number}.work"


class Shape(NamedTuple):
    """How many names, workers and queues tasks are spread over, evenly."""

    names: int = len(NAMES)
    workers: int = WORKERS
    queues: int = 1

    def name(self, number: int) -> str:
        """Return the name of a task by its number."""
        at = number % self.names
        return NAMES[at] if self.names <= len(NAMES) else make_name(at)

    def worker(self, number: int) -> int:
        """Return the number of the worker that runs it: every one runs every name."""
        return (number + number // self.names) % self.workers

    def queue(self, number: int) -> str:
        """Return the queue that it is sent to."""
        at = number // self.names % self.queues
        return f"q{at}" if at else "default"


SHOP = Shape()
"""A small installation."""

RawEvent = dict[str, object]
Message = tuple[str, bytes, int]
"""Channel, what is published, and how many events that is."""


SIZES = (1, 2, 3)
OFTEN = (69, 20, 11)
"""How many events a prefork worker puts into a message, and how often in a hundred, as
counted on real ones."""


_encode = msgspec.json.Encoder().encode


def _write(event: RawEvent) -> bytes:
    """Return `event` as Python's own JSON is, blanks and all, but faster made."""
    template = _template(tuple(event))
    return template % tuple(map(_encode, event.values()))


@lru_cache
def _template(keys: tuple[str, ...]) -> bytes:
    return b"{%b}" % b", ".join([b'"%b": %%b' % key.encode() for key in keys])


def envelope(host: str, body: RawEvent | list[RawEvent]) -> bytes:
    """Return `body` as kombu's Redis transport wraps it."""
    if isinstance(body, list):
        text = b"[%b]" % b", ".join(map(_write, body))
        before, behind = _around(host, "task.multi")
    else:
        text = _write(body)
        before, behind = _around(host, "task.sent")
    return before + base64.b64encode(text) + behind


@lru_cache
def _around(host: str, key: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind a body."""
    told = _encode(
        {
            "body": "BODY",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"hostname": host},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": "celeryev", "routing_key": key},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": "68d4db3d-43df-44a0-bd3e-fc0f49706add",
            },
        }
    )
    before, _, behind = msgspec.json.format(told, indent=0).partition(b"BODY")
    return before, behind


class Traffic:
    """The events of `tasks` tasks, many of them under way at a time."""

    def __init__(self, tasks: int, seed: int = 1, shape: Shape = SHOP) -> None:
        self._random = random = Random(seed)
        self._shape = shape
        self._ids = [
            str(UUID(int=random.getrandbits(128), version=4)) for _ in range(tasks)
        ]
        self._clock = 0

    def messages(self) -> Iterator[Message]:
        """Yield what is published, in order."""
        workers = self._shape.workers
        # However many there are, each sends as soon.
        turns = -(-workers // WORKERS)
        waiting: list[list[RawEvent]] = [[] for _ in range(workers)]
        for step in range(len(self._ids) + AHEAD[-1]):
            if step < len(self._ids):
                sent = self._sent(step)
                host = str(sent["hostname"])
                yield EXCHANGE + "task.sent", envelope(host, sent), 1
            for kind, behind in enumerate(AHEAD[1:]):
                number = step - behind
                if 0 <= number < len(self._ids):
                    waiting[self.worker(number)].append(self._worked(kind, number))
            for turn in range(turns):
                yield from self._in_batches(waiting[(step * turns + turn) % workers])
        for own in waiting:
            yield from self._in_batches(own)

    def _in_batches(self, told: list[RawEvent]) -> Iterator[Message]:
        """Take all that a worker sent out of `told`, in messages as workers send."""
        while told:
            [size] = self._random.choices(SIZES, OFTEN)
            batch, told[:] = told[:size], told[size:]
            host = str(batch[0]["hostname"])
            yield EXCHANGE + "task.multi", envelope(host, batch), len(batch)

    def name(self, number: int) -> str:
        """Return the name of a task by its number."""
        return self._shape.name(number)

    def queue(self, number: int) -> str:
        """Return the queue that it is sent to."""
        return self._shape.queue(number)

    def worker(self, number: int) -> int:
        """Return the number of the worker that runs it."""
        return self._shape.worker(number)

    def _common(self, host: str, pid: int, number: int, kind: str) -> RawEvent:
        self._clock += 1
        return {
            "hostname": host,
            "utcoffset": 0,
            "pid": pid,
            "clock": self._clock,
            "uuid": self._ids[number],
            "timestamp": time.time(),
            "type": kind,
        }

    def _told(self, number: int) -> RawEvent:
        id_ = self._ids[number]
        return {
            "root_id": id_,
            "parent_id": None,
            "name": self.name(number),
            "args": ARGS % id_[:13],
            "kwargs": "{}",
            "retries": 0,
            "eta": None,
            "expires": None,
        }

    def _sent(self, number: int) -> RawEvent:
        client = number % 4
        host = f"gen{client}@web-{client}"
        return {
            **self._common(host, 900 + client, number, "task-sent"),
            **self._told(number),
            "queue": self.queue(number),
            "exchange": "",
            "routing_key": self.queue(number),
        }

    def _worked(self, kind: int, number: int) -> RawEvent:
        worker = self.worker(number)
        host, pid = f"celery@worker-{worker}", 1000 + worker
        if kind == 0:
            common = self._common(host, pid, number, "task-received")
            return {**common, **self._told(number)}
        if kind == 1:
            return self._common(host, pid, number, "task-started")
        if number % 20 == 0:
            return {
                **self._common(host, pid, number, "task-failed"),
                "exception": "ValueError('no such customer')",
                "traceback": "Traceback (most recent call last):\n" + "  line\n" * 60,
            }
        return {
            **self._common(host, pid, number, "task-succeeded"),
            "result": "{'sent': True}",
            "runtime": 0.1234,
        }


class Spread(Traffic):
    """The same, spread evenly over `SPREAD` names, queues and workers.

    Each event is made and sent by itself, so that its timestamp is when it was
    published.
    """

    def messages(self) -> Iterator[Message]:
        for step in range(len(self._ids) + AHEAD_SPREAD[-1]):
            if step < len(self._ids):
                sent = self._sent(step)
                yield EXCHANGE + "task.sent", envelope(str(sent["hostname"]), sent), 1
            for kind, behind in enumerate(AHEAD_SPREAD[1:]):
                number = step - behind
                if 0 <= number < len(self._ids):
                    event = self._worked(kind, number)
                    host = str(event["hostname"])
                    yield EXCHANGE + "task.multi", envelope(host, [event]), 1

    def name(self, number: int) -> str:
        return make_name(number % SPREAD)

    def queue(self, number: int) -> str:
        return f"q{number // 7 % SPREAD}"

    def worker(self, number: int) -> int:
        return number // 3 % SPREAD


def stamped(number: int) -> Message:
    """Return that a new task is received, saying when that was published."""
    event: RawEvent = {
        "hostname": "celery@worker-1",
        "utcoffset": 0,
        "pid": 1001,
        "clock": number + 1,
        "uuid": str(uuid4()),
        "name": NAMES[0],
        "args": "",
        "kwargs": "{}",
        "retries": 0,
        "type": "task-received",
        "timestamp": time.time(),
    }
    event["args"] = f"({time.time()!r},)"
    return EXCHANGE + "task.multi", envelope("celery@worker-1", [event]), 1
