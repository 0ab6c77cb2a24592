"""What waits in a monitor is bounded by its number, and by its bytes."""

from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.envelope import RawEvent


def said(kind: str, number: int = 1) -> list[RawEvent]:
    return [{"type": kind}] * number


def test_beyond_its_number_what_is_said_again_is_dropped_first() -> None:
    intake = EventBuffer(most=3)
    intake.put_threadsafe(said("task-sent", 2), 1.0, Ack())
    intake.put_threadsafe(
        [*said("worker-heartbeat"), *said("task-sent", 2)], 2.0, Ack()
    )
    assert [intake.waiting, intake.dropped] == [3, 2]


def test_beyond_its_bytes_nothing_is_taken_until_some_are_stored() -> None:
    intake, dropped = EventBuffer(most_bytes=100), Ack(size=51)
    intake.put_threadsafe(said("task-sent"), 1.0, Ack(size=50))
    intake.put_threadsafe(said("task-sent", 2), 2.0, dropped)
    assert [intake.waiting, intake.dropped, dropped.confirmed] == [1, 2, True]
    assert intake.drain(10).size == 1
    intake.put_threadsafe(said("task-sent"), 3.0, Ack(size=51))
    assert [intake.waiting, intake.dropped] == [1, 2]
