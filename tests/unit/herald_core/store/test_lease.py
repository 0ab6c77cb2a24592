"""When leases are renewed."""

import pytest

from herald_core.store.lease import LEASE_S, RENEW_INTERVAL_S, compute_pause


@pytest.mark.parametrize("now", [0.0, 0.5, 1.999, 1_000.25])
def test_all_leases_are_renewed_at_one_moment_and_in_time(now: float) -> None:
    pause = compute_pause(now)
    assert 0 < pause <= RENEW_INTERVAL_S < LEASE_S / 2
    assert (now + pause) % RENEW_INTERVAL_S == pytest.approx(0, abs=1e-9)
