"""The pace of an order."""

import pytest

from herald_server.control.bulk.pacing import MAX_CHUNK, RateLimiter, compute_chunk


@pytest.mark.parametrize(
    ("per_second", "chunk"), [(0.1, 1), (1, 1), (50, 25), (1_000, MAX_CHUNK)]
)
def test_a_chunk_takes_half_a_second_at_most(per_second: float, chunk: int) -> None:
    assert compute_chunk(per_second) == chunk


def test_the_next_chunk_waits_for_the_rate() -> None:
    pace = RateLimiter(10)
    assert pace.compute_wait(100.0) == 0
    pace.record(5, 100.0)
    assert pace.compute_wait(100.1) == pytest.approx(0.4)
    assert pace.compute_wait(101.0) == 0


def test_time_that_passed_is_not_made_up_for() -> None:
    pace = RateLimiter(10)
    pace.record(5, 100.0)
    pace.record(5, 200.0)
    assert pace.compute_wait(200.0) == pytest.approx(0.5)
