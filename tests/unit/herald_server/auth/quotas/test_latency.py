"""Latencies in a window that slides."""

import pytest

from herald_server.auth.quotas.latency import SLOT_COUNT, SLOT_S, SlidingHistogram


def test_percentiles_are_of_all_that_was_noted() -> None:
    noted = SlidingHistogram()
    for number in range(1, 101):
        noted.record(number / 1000, 1.0)
    found = noted.compute_percentiles(1.0)
    assert found is not None
    told = (found.p50_ms, found.p95_ms, found.p99_ms)
    assert told == pytest.approx((50, 95, 99), rel=0.1)
    assert found.count == 100


def test_what_is_older_than_the_window_is_forgotten() -> None:
    noted = SlidingHistogram()
    noted.record(1.0, 0.0)
    noted.record(0.1, SLOT_S * SLOT_COUNT - 1)
    assert noted.merge_buckets(SLOT_S * SLOT_COUNT - 1) == noted.merge_buckets(1.0)
    last = noted.compute_percentiles(SLOT_S * SLOT_COUNT)
    assert last is not None
    assert last.count == 1
    assert last.p50_ms == pytest.approx(100, rel=0.1)
    assert noted.compute_percentiles(SLOT_S * (2 * SLOT_COUNT)) is None


def test_a_clock_that_is_ahead_counts_as_no_time() -> None:
    noted = SlidingHistogram()
    noted.record(-5.0, 0.0)
    found = noted.compute_percentiles(0.0)
    assert found is not None
    assert found.p99_ms == 1.0
