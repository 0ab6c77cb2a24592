"""Due times are those at which `celery beat` submits, also when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.schedules import crontab, schedule, solar

from herald_monitor.celery_client.schedules.due_times import (
    describe_schedule,
    find_interval,
    make_next_due,
    name_zone,
)

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
CHANGES = {
    (BERLIN, "spring"): datetime(2026, 3, 28, 12, tzinfo=UTC),
    (BERLIN, "autumn"): datetime(2026, 10, 24, 12, tzinfo=UTC),
    (NEW_YORK, "spring"): datetime(2026, 3, 7, 18, tzinfo=UTC),
    (NEW_YORK, "autumn"): datetime(2026, 10, 31, 18, tzinfo=UTC),
}


def make_app(zone: str, **conf: object) -> Celery:
    app = Celery("schedules", set_as_current=False, fixups=[])
    app.conf.update(timezone=zone, **conf)
    return app


def list_due(planned: Any, app: Celery, start: datetime, hours: float) -> list[str]:
    """Return the due times in the hours after `start`, in UTC."""
    next_due = make_next_due(planned, app)
    found: list[str] = []
    end, at = start.timestamp() + hours * 3_600, next_due(start.timestamp())
    while at is not None and at <= end:
        found.append(datetime.fromtimestamp(at, UTC).isoformat()[:16])
        at = next_due(at)
    return found


def run_beat(planned: Any, start: datetime, hours: float) -> list[str]:
    """Return the times at which beat submits, by asking `is_due` each minute."""
    zone, present = planned.tz, [start]
    found: list[str] = []
    planned.nowfun = lambda: present[0].astimezone(zone)
    last = start.astimezone(zone)
    for _ in range(int(hours * 60)):
        present[0] += timedelta(minutes=1)
        if planned.is_due(last).is_due:
            last = present[0].astimezone(zone)
            found.append(present[0].isoformat()[:16])
    planned.nowfun = None
    return found


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: "-".join(one))
@pytest.mark.parametrize(
    "fields",
    [("30", "2"), ("30", "1"), ("0", "*"), ("*/20", "1-3"), ("15", "0")],
    ids=" ".join,
)
def test_a_crontab_is_due_when_beat_submits_it(
    fields: tuple[str, str], change: tuple[str, str]
) -> None:
    app, start = make_app(change[0]), CHANGES[change]
    expected = run_beat(crontab(*fields, app=app), start, 20)
    assert len(expected) >= 1
    assert list_due(crontab(*fields, app=app), app, start, 20) == expected


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: "-".join(one))
def test_without_utc_a_crontab_is_due_as_well(change: tuple[str, str]) -> None:
    app, start = make_app(change[0], enable_utc=False), CHANGES[change]
    expected = run_beat(crontab("30", "1-3", app=app), start, 20)
    assert list_due(crontab("30", "1-3", app=app), app, start, 20) == expected


def test_a_nightly_run_stays_at_its_hour_when_clocks_change() -> None:
    app = make_app(BERLIN)
    planned = crontab("0", "4", app=app)
    found = list_due(planned, app, datetime(2026, 3, 27, 12, tzinfo=UTC), 60)
    assert found == ["2026-03-28T03:00", "2026-03-29T02:00"]


def test_an_interval_takes_no_notice_of_clocks() -> None:
    app = make_app(NEW_YORK)
    planned = schedule(3_600, app=app)
    start = datetime(2026, 3, 8, 5, 10, tzinfo=UTC)
    assert list_due(planned, app, start, 3) == [
        "2026-03-08T06:10",
        "2026-03-08T07:10",
        "2026-03-08T08:10",
    ]


def test_a_clock_of_the_schedules_own_gives_the_same_times() -> None:
    app = make_app("UTC")
    own = crontab("0", "4", nowfun=lambda: datetime.now(ZoneInfo(BERLIN)), app=app)
    plain = crontab("0", "4", app=app)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    beat = run_beat(crontab("0", "4", app=app), start, 48)
    assert list_due(own, app, start, 48) == list_due(plain, app, start, 48) == beat


def test_a_naive_clock_counts_as_utc() -> None:
    """As in Celery, so that a local clock shifts the runs."""
    app = make_app("UTC")

    def get_local_time() -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)

    planned = crontab("0", "4", nowfun=get_local_time, app=app)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    assert list_due(planned, app, start, 24) == ["2026-06-01T02:00"]


def test_a_schedule_that_cannot_compute_has_no_due_time() -> None:
    class Broken(schedule):
        def remaining_estimate(self, last_run_at: datetime) -> timedelta:
            raise RuntimeError("no database")

    app = make_app("UTC")
    assert make_next_due(Broken(5, app=app), app)(0.0) is None


def test_an_interval_of_nothing_has_no_due_time() -> None:
    app = make_app("UTC")
    assert make_next_due(schedule(0, app=app), app)(1e9) is None


def test_the_sun_is_a_schedule() -> None:
    pytest.importorskip("ephem")
    app = make_app("UTC")
    planned = solar("sunset", 52.5, 13.4, app=app)
    start = datetime(2026, 6, 21, tzinfo=UTC)
    [sunset] = list_due(planned, app, start, 24)
    assert "2026-06-21T19:2" < sunset < "2026-06-21T19:4"
    assert describe_schedule(planned) == "sunset at 52.5, 13.4"


@pytest.mark.parametrize(
    ("planned", "text", "seconds"),
    [
        (crontab("0", "4", day_of_week="1"), "0 4 * * 1", None),
        (schedule(90), "every 90 s", 90.0),
        (schedule(7_200), "every 2 h", 7_200.0),
    ],
    ids=["crontab", "seconds", "hours"],
)
def test_a_schedule_is_described(planned: Any, text: str, seconds: object) -> None:
    assert describe_schedule(planned) == text
    assert find_interval(planned) == seconds


def test_the_zone_of_a_schedule_is_that_of_its_app() -> None:
    app = make_app(BERLIN)
    assert name_zone(crontab(app=app), app) == BERLIN
