"""How many hostnames are taken, and what is told of the others."""

from collections.abc import Sequence

from herald_monitor.ingest.buffer import Batch, BufferedEvent, ReceivedEvents
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.event_header import WireEvent
from herald_monitor.ingest.parser import EventParser
from herald_monitor.ingest.worker_limit import (
    PROBLEM_TTL_S,
    STORE_TIMEOUT_S,
    WorkerLimit,
)


def test_invented_names_take_no_place_of_who_is_known() -> None:
    limit = WorkerLimit(2)
    assert limit.is_admitted("w1@h", 1.0)
    assert limit.is_admitted("w2@h", 1.0)
    assert not any([limit.is_admitted(f"evil{i}@h", 2.0) for i in range(1_000)])
    assert limit.is_admitted("w1@h", 3.0)
    assert limit.refused == 1_000


def test_who_left_the_store_makes_room() -> None:
    limit = WorkerLimit(2)
    limit.update(["w1@h", "w2@h"], 0.0)
    assert not limit.is_admitted("w3@h", 1.0)
    limit.update(["w1@h"], 2.0)
    assert limit.is_admitted("w3@h", 2.0)


def test_who_waits_to_be_stored_keeps_its_place() -> None:
    limit = WorkerLimit(1)
    assert limit.is_admitted("w1@h", 1.0)
    for now in (2.0, 7.0, 12.0):
        limit.update([], now)
        assert not limit.is_admitted("w2@h", now)
    limit.update([], 1.0 + STORE_TIMEOUT_S)
    assert limit.is_admitted("w2@h", 70.0)


def test_what_is_refused_does_not_wait_in_memory() -> None:
    limit = WorkerLimit(1)
    own: WireEvent = {"type": "worker-heartbeat", "hostname": "w1@h"}
    other: WireEvent = {"type": "worker-heartbeat", "hostname": "w2@h"}
    odd: WireEvent = {"type": "worker-heartbeat", "hostname": ["w3@h"]}
    task: WireEvent = {"type": "task-sent", "uuid": "t", "hostname": "w2@h"}
    told: list[WireEvent] = [own, other, odd, task]
    taken: list[Sequence[WireEvent]] = []
    put = limit.wrap_deliver(lambda events, heard, ticket: taken.append(events))
    put(told, 1.0, Ack())
    assert limit.is_admitted("w1@h", 1.0)
    put(told, 1.0, Ack())
    assert taken == [told, [own, odd, task]]


def test_refusals_are_told_for_a_while() -> None:
    limit = WorkerLimit(1)
    limit.is_admitted("w1@h", 1.0)
    assert limit.describe_problem(1.0) == ""
    limit.is_admitted("w2@h", 2.0)
    assert "HERALD_MAX_WORKERS" in limit.describe_problem(2.0 + PROBLEM_TTL_S / 2)
    assert limit.describe_problem(2.0 + PROBLEM_TTL_S) == ""


def test_what_a_refused_worker_says_is_counted_and_not_stored() -> None:
    interpreter = EventParser(str)
    interpreter.admits = WorkerLimit(1).is_admitted
    names = ["w0@h", "w1@h", "w2@h"]
    beats: list[BufferedEvent] = [
        {"type": "worker-heartbeat", "hostname": n} for n in names
    ]
    read = interpreter.parse(Batch([ReceivedEvents(beats, 1.0)], []))
    assert [worker.hostname for worker in read.workers] == ["w0@h"]
    assert interpreter.counters.worker_events == 3
