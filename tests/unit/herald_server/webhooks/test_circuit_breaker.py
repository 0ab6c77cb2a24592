"""When a failing endpoint is left alone, and tried again."""

from __future__ import annotations

from herald_server.webhooks.circuit_breaker import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    CircuitBreaker,
)
from herald_server.webhooks.retry_policy import RetryPolicy


def test_a_breaker_opens_probes_and_opens_for_longer() -> None:
    breaker = CircuitBreaker(RetryPolicy(open_after=2, open_first=10, open_longest=15))
    breaker.on_failure(0, 0)
    assert breaker.try_acquire(0)
    breaker.on_failure(0, 0)
    assert (breaker.state, breaker.try_acquire(9)) == (OPEN, False)
    breaker.on_failure(9, 0)  # was under way when it opened
    assert breaker.until == 10
    assert [breaker.try_acquire(10) for _ in range(4)] == [True, True, True, False]
    breaker.on_failure(11, 0)
    breaker.on_failure(11, 0)
    assert breaker.state == HALF_OPEN
    breaker.on_failure(11, 0)
    assert breaker.until == 26
    assert breaker.try_acquire(26)
    breaker.on_success()
    assert breaker.state == CLOSED
