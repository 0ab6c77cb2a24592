"""When an answer may be outdated: which fact makes it so, and since when."""

import pytest

from herald_monitor.model.shape import rfc3339
from herald_monitor.store import MonitorImage
from herald_server.freshness import (
    LATE,
    NO_BROKER,
    NO_MONITOR,
    STORE_AWAY,
    LogState,
    find_staleness,
)

NOW = 1_800_000_000.0
MOVING = LogState(NOW - 1, "", False)
STANDING = LogState(NOW - 40, "", True)
NEVER_MOVED = LogState(0.0, "", True)
AWAY = LogState(NOW - 40, "cannot reach the store", True)


def monitor(**fields: object) -> MonitorImage:
    given: dict[str, object] = {"connected": True, **fields}
    at = rfc3339(NOW)
    return MonitorImage(id="m1", started_at=at, seen_at=at, **given)  # type: ignore[arg-type]


LIVES = monitor()
DEAF = monitor(connected=False, last_event_at=rfc3339(NOW - 70))
NEVER_HEARD = monitor(connected=False)
BEHIND = monitor(lag_ms=12_000)
A_LITTLE_BEHIND = monitor(lag_ms=900)


@pytest.mark.parametrize(
    ("log", "monitors", "reason", "since"),
    [
        (AWAY, [LIVES], STORE_AWAY, NOW - 40),
        (STANDING, [], NO_MONITOR, NOW - 40),
        (STANDING, [LIVES], NO_MONITOR, NOW - 40),
        (NEVER_MOVED, [], NO_MONITOR, None),
        (MOVING, [DEAF], NO_BROKER, NOW - 70),
        (MOVING, [NEVER_HEARD], NO_BROKER, NOW - 1),
        (MOVING, [BEHIND], LATE, NOW - 12),
        (MOVING, [BEHIND, DEAF], LATE, NOW - 12),
    ],
)
def test_what_makes_an_answer_outdated(
    log: LogState, monitors: list[MonitorImage], reason: str, since: float | None
) -> None:
    stale = find_staleness(log, monitors, NOW)
    assert stale is not None
    assert stale.reason == reason
    assert stale.since == (None if since is None else rfc3339(since))


@pytest.mark.parametrize(
    ("log", "monitors"),
    [
        (MOVING, [LIVES]),
        (MOVING, [DEAF, LIVES]),
        (MOVING, [BEHIND, LIVES]),
        (MOVING, [A_LITTLE_BEHIND]),
        # A server that has just started has read no entry yet.
        (NEVER_MOVED, [LIVES]),
    ],
)
def test_what_does_not(log: LogState, monitors: list[MonitorImage]) -> None:
    assert find_staleness(log, monitors, NOW) is None


def test_the_sentence_names_the_reason_and_the_time() -> None:
    stale = find_staleness(STANDING, [], NOW)
    assert stale is not None
    assert stale.sentence.startswith(f"Outdated: {NO_MONITOR} since {stale.since}.")
    never = find_staleness(NEVER_MOVED, [], NOW)
    assert never is not None
    assert "herald monitor" in never.sentence
    assert never.shown() == {"reason": NO_MONITOR}
