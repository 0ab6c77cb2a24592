"""The share of the store's time that scans may take."""

from herald_core.store.redis.query.store_budget import (
    BURST_S,
    TRANSFER_FACTOR,
    StoreBudget,
)

STEP_S = 0.001


def test_a_short_scan_is_not_delayed() -> None:
    budget = StoreBudget()
    assert budget.compute_delay_s(1.0) == 0
    budget.charge(BURST_S / TRANSFER_FACTOR)
    assert budget.compute_delay_s(1.0) == 0


def test_a_long_scan_takes_its_share_and_no_more() -> None:
    budget, now, used = StoreBudget(0.1), 0.0, 0.0
    for _ in range(2_000):
        now += STEP_S + budget.compute_delay_s(now)
        budget.charge(STEP_S)
        used += STEP_S * TRANSFER_FACTOR
    assert 0.09 < used / now < 0.11


def test_an_idle_time_is_not_saved_up() -> None:
    budget = StoreBudget(0.1)
    budget.compute_delay_s(0.0)
    budget.compute_delay_s(1_000_000.0)
    budget.charge(1.0)
    assert budget.compute_delay_s(1_000_000.0) > 10 * (1.0 - BURST_S)
