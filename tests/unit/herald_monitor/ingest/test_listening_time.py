"""Up to when a receiver has read: by its probes, and by an empty line."""

from typing import Any, cast

from celery import Celery

from herald_core.model.monitors import MonitorView, find_proven_until
from herald_core.model.tasks.views import to_rfc3339
from herald_monitor.celery_client.broker.control_broadcaster import ControlBroadcaster
from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.listening_time import MAX_TRANSIT_S, get_read_until

NOW = 1_800_000_000.0


def until(now: float, empty_at: float, probed: float | None = None) -> float:
    """Return up to when all is read while no probe is under way."""
    return get_read_until(now, empty_at=empty_at, probed_until=probed, under_way=None)


def test_an_empty_line_means_that_all_is_read() -> None:
    assert until(NOW, NOW - 0.1) == NOW - 0.1


def test_while_more_and_more_comes_the_last_empty_line_counts() -> None:
    assert until(NOW, NOW - 9) == NOW - 9


def test_a_probe_that_came_back_proves_what_was_before_it() -> None:
    assert until(NOW, NOW - 9, NOW - 4) == NOW - 4


def test_a_clock_that_was_set_back_proves_nothing_to_come() -> None:
    assert until(NOW, NOW + 9, NOW + 4) == NOW


def test_a_probe_that_does_not_come_back_counts_more_than_an_empty_line() -> None:
    """The broker, or a slow line, holds back what came before it."""
    sent = NOW - MAX_TRANSIT_S / 2
    for now, expected in ((NOW, NOW - 0.1), (NOW + MAX_TRANSIT_S, NOW - 8)):
        found = get_read_until(
            now, empty_at=NOW - 0.1, probed_until=NOW - 8, under_way=sent
        )
        assert found == expected


def test_where_no_probe_ever_comes_back_they_tell_nothing() -> None:
    found = get_read_until(
        NOW, empty_at=NOW - 0.1, probed_until=None, under_way=NOW - 30
    )
    assert found == NOW - 0.1


def test_a_probe_that_came_back_ends_the_wait_for_those_before_it() -> None:
    made = ControlBroadcaster(Celery(broker="memory://"), "n", 5.0)
    made.pending_probes.extend([1.0, 2.0, 3.0])
    assert not made.match_probe(1.5)
    assert made.match_probe(2.0)
    assert made.get_oldest_probe() == 3.0


def test_what_waits_in_memory_is_known_by_the_oldest() -> None:
    intake = EventBuffer()
    intake.put_threadsafe([cast(Any, {"type": "task-sent"})], NOW, Ack())
    intake.put_threadsafe([cast(Any, {"type": "task-sent"})], NOW + 1, Ack())
    assert intake.oldest == NOW
    intake.drain(1)
    assert intake.oldest == NOW + 1


def _monitor(behind: float | None, *, connected: bool = True) -> MonitorView:
    return MonitorView(
        id=str(behind),
        started_at="",
        seen_at="",
        connected=connected,
        behind_since=None if behind is None else to_rfc3339(behind),
    )


def test_silence_is_proven_by_the_monitor_that_read_most() -> None:
    both = [_monitor(NOW - 9), _monitor(NOW - 5)]
    assert find_proven_until(both, NOW) == NOW - 5
    assert find_proven_until([*both, _monitor(None)], NOW) == NOW
    assert find_proven_until([*both, _monitor(None, connected=False)], NOW) == NOW - 5
    assert find_proven_until([], NOW) == NOW
