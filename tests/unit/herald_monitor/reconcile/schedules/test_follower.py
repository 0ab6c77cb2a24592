"""One monitor follows the schedules, and stores what it decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from herald_core.model.gaps import Gap
from herald_core.model.schedules.learning import MIN_RUNS
from herald_core.model.schedules.marks import (
    CONFIRMED_KIND,
    MUTED_KIND,
    SOURCES_KIND,
    ScheduleMark,
    encode_item,
    read_report,
)
from herald_core.model.tasks.views import to_rfc3339
from tests.support.schedules.follower import NOW, FollowedSchedules

pytestmark = pytest.mark.anyio


def make_app(**schedules: dict[str, Any]) -> Celery:
    app = Celery("followed", set_as_current=False, fixups=[])
    app.conf.update(beat_schedule=schedules)
    return app


TICK = {"task": "jobs.tick", "schedule": 60.0}


async def test_a_schedule_is_shown_before_its_first_run() -> None:
    followed = FollowedSchedules(make_app(tick=TICK))
    await followed.check_until(NOW + 5)
    tick = (await followed.list_images())["tick"]
    assert (tick["state"], tick["schedule"]) == ("waiting", "every 1 min")


async def test_a_run_is_tied_to_its_schedule() -> None:
    followed = FollowedSchedules(make_app(tick=TICK))
    await followed.check_until(NOW + 30)
    task_id = await followed.run("jobs.tick", NOW + 32)
    await followed.check_until(NOW + 40)
    tick = (await followed.list_images())["tick"]
    assert (tick["state"], tick["last_run"]["task_id"]) == ("ok", task_id)
    assert tick["next_run"] == to_rfc3339(NOW + 92)


async def test_the_stored_run_is_shown_at_once() -> None:
    followed = FollowedSchedules(make_app(tick=TICK))
    task_id = await followed.run("jobs.tick", NOW - 20)
    await followed.check_until(NOW + 5)
    tick = (await followed.list_images())["tick"]
    assert tick["last_run"]["task_id"] == task_id
    assert tick["next_run"] == to_rfc3339(NOW + 40)


async def test_what_did_not_run_is_told_within_a_minute() -> None:
    followed = FollowedSchedules(make_app(tick=TICK))
    await followed.run("jobs.tick", NOW - 1)
    await followed.check_until(NOW + 60 + 59)
    tick = (await followed.list_images())["tick"]
    assert tick["state"] == "missed"
    assert "nothing was submitted" in tick["problems"][0]["message"]


async def test_a_silent_scheduler_is_told_of_each_of_its_schedules() -> None:
    other = {"task": "jobs.tock", "schedule": 60.0}
    followed = FollowedSchedules(make_app(tick=TICK, tock=other))
    await followed.check_until(NOW + 120)
    images = await followed.list_images()
    assert {one["state"] for one in images.values()} == {"beat_silent"}


async def test_nothing_is_missed_while_events_are_missing() -> None:
    followed = FollowedSchedules(make_app(tick=TICK))
    times = (to_rfc3339(NOW + 55), to_rfc3339(NOW + 100))
    gap = Gap(id="g", since=times[0], until=times[1], reason="the monitor was away")
    await followed.store.open_gap(gap)
    await followed.check_until(NOW + 120)
    assert (await followed.list_images())["tick"]["state"] == "unknown"


async def test_another_monitor_continues_where_the_first_one_stopped() -> None:
    first = FollowedSchedules(make_app(tick=TICK))
    await first.run("jobs.tick", NOW - 1)
    await first.check_until(NOW + 70)
    second = FollowedSchedules(make_app(tick=TICK), first.store)
    second.now = NOW + 70
    await second.check_until(NOW + 115)
    assert (await second.list_images())["tick"]["state"] == "missed"


async def test_a_schedule_that_was_changed_is_judged_from_then_on() -> None:
    app = make_app(tick=TICK)
    first = FollowedSchedules(app)
    await first.check_until(NOW + 120)
    app.conf.beat_schedule = {"tick": {**TICK, "schedule": 600.0}}
    second = FollowedSchedules(app, first.store)
    second.now = NOW + 120
    await second.check_until(NOW + 150)
    tick = (await second.list_images())["tick"]
    assert (tick["state"], tick["problems"]) == ("waiting", [])


async def test_a_schedule_that_is_gone_is_deleted() -> None:
    app = make_app(tick=TICK)
    first = FollowedSchedules(app)
    await first.check_until(NOW + 20)
    app.conf.beat_schedule = {}
    second = FollowedSchedules(app, first.store)
    await second.check_until(NOW + 20)
    assert await second.list_images() == {}


async def test_a_source_that_cannot_be_read_loses_nothing() -> None:
    app = make_app(tick=TICK)
    first = FollowedSchedules(app)
    await first.check_until(NOW + 20)
    app.conf.beat_schedule = 7
    second = FollowedSchedules(app, first.store)
    await second.check_until(NOW + 20)
    assert "tick" in await second.list_images()
    report = read_report(await second.store.get_item(SOURCES_KIND, "report"))
    assert "beat_schedule cannot be read" in report.problems[0]


async def test_a_muted_schedule_says_so() -> None:
    followed = FollowedSchedules(make_app(tick=TICK))
    await followed.check_until(NOW + 20)
    [document] = await followed.store.list_documents("schedules")
    await followed.store.put_item(
        MUTED_KIND, document.id, encode_item(ScheduleMark(by="me")), 60
    )
    await followed.check_until(NOW + 25)
    assert (await followed.list_images())["tick"]["muted"] is True


async def test_a_declared_schedule_replaces_one_of_the_app(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_text('[schedules.tick]\ntask = "jobs.tick"\ninterval = 60\ngrace = 5\n')
    followed = FollowedSchedules(make_app(tick=TICK), declared_in=path)
    await followed.check_until(NOW + 70)
    tick = (await followed.list_images())["tick"]
    assert (tick["source"], tick["grace_s"], tick["state"]) == ("toml", 5.0, "missed")


async def test_regular_submissions_are_learnt_and_raise_no_alarm() -> None:
    followed = FollowedSchedules(make_app())
    for number in range(MIN_RUNS):
        await followed.run("jobs.hourly", NOW - 60 * (MIN_RUNS - number))
    await followed.check_until(NOW + 100)
    hourly = (await followed.list_images())["jobs.hourly"]
    assert (hourly["source"], hourly["state"]) == ("learnt", "unconfirmed")
    assert hourly["learnt"]["runs"] == MIN_RUNS
    assert hourly["problems"] == []


async def test_a_learnt_schedule_is_judged_once_it_is_confirmed() -> None:
    followed = FollowedSchedules(make_app())
    for number in range(MIN_RUNS):
        await followed.run("jobs.hourly", NOW - 60 * (MIN_RUNS - number))
    await followed.check_until(NOW + 5)
    [id_] = followed.follower.list_learnt()
    mark = ScheduleMark(by="me", learnt=followed.follower.list_learnt()[id_])
    await followed.store.put_item(CONFIRMED_KIND, id_, encode_item(mark), 9e6)
    await followed.check_until(NOW + 100)
    hourly = (await followed.list_images())["jobs.hourly"]
    assert (hourly["confirmed"], hourly["state"]) == (True, "missed")


async def test_an_hour_of_a_schedule_raises_no_alarm() -> None:
    followed = FollowedSchedules(make_app(tick=TICK))
    at = NOW + 10.0
    states: set[str] = set()
    while followed.now < NOW + 3_600:
        if followed.now >= at:
            await followed.run("jobs.tick", at)
            at += 60.0 + followed.sent % 4
        await followed.check_until(followed.now + 5)
        states.add((await followed.list_images())["tick"]["state"])
    assert states <= {"waiting", "ok", "running"}
