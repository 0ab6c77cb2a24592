"""Events that take long to read are read a few at a time."""

from herald_monitor.ingest.batch_pacer import LONGEST_READ_S, BatchSize


def test_usual_events_are_read_as_many_as_may_be() -> None:
    size = BatchSize(4_000)
    size.record(4_000, LONGEST_READ_S / 2)
    assert size.events == 4_000


def test_fewer_are_read_while_they_take_long_and_one_at_least() -> None:
    size = BatchSize(4_000)
    size.record(100, 10 * LONGEST_READ_S)
    assert size.events == 10
    size.record(10, 1_000 * LONGEST_READ_S)
    assert size.events == 1


def test_more_are_read_again_once_they_do_not() -> None:
    size = BatchSize(4_000)
    size.record(1, 1_000 * LONGEST_READ_S)
    for _ in range(12):
        size.record(size.events, 0.0)
    assert size.events == 4_000
