"""Latencies in a window that slides."""

import pytest

from herald_server.latencies import SLOT, SLOTS, Latencies


def test_percentiles_are_of_all_that_was_noted() -> None:
    noted = Latencies()
    for number in range(1, 101):
        noted.note(number / 1000, 1.0)
    found = noted.lately(1.0)
    assert found is not None
    told = (found.p50_ms, found.p95_ms, found.p99_ms)
    assert told == pytest.approx((50, 95, 99), rel=0.1)
    assert found.count == 100


def test_what_is_older_than_the_window_is_forgotten() -> None:
    noted = Latencies()
    noted.note(1.0, 0.0)
    noted.note(0.1, SLOT * SLOTS - 1)
    assert noted.buckets(SLOT * SLOTS - 1) == noted.buckets(1.0)
    last = noted.lately(SLOT * SLOTS)
    assert last is not None
    assert last.count == 1
    assert last.p50_ms == pytest.approx(100, rel=0.1)
    assert noted.lately(SLOT * (2 * SLOTS)) is None


def test_a_clock_that_is_ahead_counts_as_no_time() -> None:
    noted = Latencies()
    noted.note(-5.0, 0.0)
    found = noted.lately(0.0)
    assert found is not None
    assert found.p99_ms == 1.0
