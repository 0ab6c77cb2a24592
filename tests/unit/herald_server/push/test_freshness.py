"""When an answer may be outdated: which fact makes it so, and since when."""

import pytest

from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import to_rfc3339
from herald_server.push.freshness import (
    BROKER_SILENT,
    EVENTS_LATE,
    NO_BROKER,
    NO_MONITOR,
    STORE_SILENT,
    LogState,
    find_staleness,
)

NOW = 1_800_000_000.0
MOVING = LogState(NOW - 1, "", False)
STANDING = LogState(NOW - 40, "", True)
NEVER_MOVED = LogState(0.0, "", True)
AWAY = LogState(NOW - 40, "cannot reach the store", True)


def monitor(**fields: object) -> MonitorView:
    given: dict[str, object] = {"connected": True, **fields}
    at = to_rfc3339(NOW)
    return MonitorView(id="m1", started_at=at, seen_at=at, **given)  # type: ignore[arg-type]


LIVES = monitor()
DEAF = monitor(connected=False, last_event_at=to_rfc3339(NOW - 70))
NEVER_HEARD = monitor(connected=False)
BEHIND = monitor(lag_ms=12_000)
SILENT = monitor(silent_since=to_rfc3339(NOW - 5), lag_ms=4_000)
LONG_SILENT = monitor(silent_since=to_rfc3339(NOW - 11), lag_ms=11_000)
A_LITTLE_BEHIND = monitor(lag_ms=900)


@pytest.mark.parametrize(
    ("log", "monitors", "reason", "since"),
    [
        (AWAY, [LIVES], STORE_SILENT, NOW - 40),
        (STANDING, [], NO_MONITOR, NOW - 40),
        (STANDING, [LIVES], NO_MONITOR, NOW - 40),
        (NEVER_MOVED, [], NO_MONITOR, None),
        (MOVING, [DEAF], NO_BROKER, NOW - 70),
        (MOVING, [NEVER_HEARD], NO_BROKER, NOW - 1),
        (MOVING, [SILENT], BROKER_SILENT, NOW - 5),
        (MOVING, [LONG_SILENT, SILENT, DEAF], BROKER_SILENT, NOW - 5),
        (MOVING, [BEHIND], EVENTS_LATE, NOW - 12),
        (MOVING, [BEHIND, DEAF], EVENTS_LATE, NOW - 12),
    ],
)
def test_what_makes_an_answer_outdated(
    log: LogState, monitors: list[MonitorView], reason: str, since: float | None
) -> None:
    stale = find_staleness(log, monitors, NOW)
    assert stale is not None
    assert stale.reason == reason
    assert stale.since == (None if since is None else to_rfc3339(since))


@pytest.mark.parametrize(
    ("log", "monitors"),
    [
        (MOVING, [LIVES]),
        (MOVING, [DEAF, LIVES]),
        (MOVING, [BEHIND, LIVES]),
        (MOVING, [SILENT, LIVES]),
        (MOVING, [A_LITTLE_BEHIND]),
        # A server that has just started has read no entry yet.
        (NEVER_MOVED, [LIVES]),
    ],
)
def test_what_does_not(log: LogState, monitors: list[MonitorView]) -> None:
    assert find_staleness(log, monitors, NOW) is None


def test_the_sentence_names_the_reason_and_the_time() -> None:
    stale = find_staleness(STANDING, [], NOW)
    assert stale is not None
    assert stale.notice.startswith(f"Outdated: {NO_MONITOR} since {stale.since}.")
    never = find_staleness(NEVER_MOVED, [], NOW)
    assert never is not None
    assert "herald monitor" in never.notice
    assert never.to_json() == {"reason": NO_MONITOR}
