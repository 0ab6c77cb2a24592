"""What waits in a monitor is bounded by its number, and by its bytes."""

from herald_monitor.intake import Intake
from herald_monitor.tickets import Ticket
from herald_monitor.wire import RawEvent


def said(kind: str, number: int = 1) -> list[RawEvent]:
    return [{"type": kind}] * number


def test_beyond_its_number_what_is_said_again_is_dropped_first() -> None:
    intake = Intake(most=3)
    intake.put(said("task-sent", 2), 1.0, Ticket())
    intake.put([*said("worker-heartbeat"), *said("task-sent", 2)], 2.0, Ticket())
    assert [intake.waiting, intake.dropped] == [3, 2]


def test_beyond_its_bytes_nothing_is_taken_until_some_are_stored() -> None:
    intake, dropped = Intake(most_bytes=100), Ticket(size=51)
    intake.put(said("task-sent"), 1.0, Ticket(size=50))
    intake.put(said("task-sent", 2), 2.0, dropped)
    assert [intake.waiting, intake.dropped, dropped.confirmed] == [1, 2, True]
    assert intake.take(10).size == 1
    intake.put(said("task-sent"), 3.0, Ticket(size=51))
    assert [intake.waiting, intake.dropped] == [1, 2]
