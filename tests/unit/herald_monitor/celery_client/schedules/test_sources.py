"""Schedules are read from where a project keeps them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab
from redbeat.schedulers import RedBeatSchedulerEntry

from herald_core.errors import InvalidInput
from herald_core.model.events.redaction import Redactor
from herald_monitor.celery_client.schedules.declared_source import (
    read_declared_schedules,
)
from herald_monitor.celery_client.schedules.planned import (
    PlannedSchedule,
    ScheduleFactory,
)
from herald_monitor.celery_client.schedules.sources import read_sources
from tests.support.environment import ROOT
from tests.support.servers.redis import PrivateValkey


def make_factory(**conf: Any) -> ScheduleFactory:
    app = Celery("sources", set_as_current=False, fixups=[])
    app.conf.update(conf)
    return ScheduleFactory(app, Redactor())


def read(factory: ScheduleFactory) -> dict[str, PlannedSchedule]:
    return {one.spec.name: one for one in read_sources(factory).schedules}


def test_the_schedules_of_an_app() -> None:
    entry = {
        "task": "reports.nightly",
        "schedule": crontab(minute="0", hour="4"),
        "args": [1],
        "kwargs": {"password": "hunter2"},
        "options": {"queue": "reports", "countdown": 10},
    }
    factory = make_factory(beat_schedule={"nightly": entry}, timezone="Europe/Berlin")
    spec = read(factory)["nightly"].spec
    assert (spec.task, spec.when, spec.timezone) == (
        "reports.nightly",
        "0 4 * * *",
        "Europe/Berlin",
    )
    assert (spec.queue, spec.delay, spec.args) == ("reports", 10.0, "(1,)")
    assert "hunter2" not in str(spec)
    noon = datetime.fromisoformat("2026-06-01T12:00:00Z").timestamp()
    due = read(factory)["nightly"].next_due(noon)
    assert due == datetime.fromisoformat("2026-06-02T02:00:00Z").timestamp()


def test_schedules_that_a_project_adds_by_a_call() -> None:
    app = Celery("adding", set_as_current=False, fixups=[])

    @app.task(name="jobs.tick")
    def tick() -> None: ...

    app.add_periodic_task(30.0, tick.s(), name="each half minute")
    found = read(ScheduleFactory(app, str))
    assert found["each half minute"].spec.interval == 30.0


def test_an_entry_that_cannot_be_read_costs_no_other() -> None:
    good = {"task": "jobs.tick", "schedule": timedelta(seconds=5)}
    bad = {"task": "jobs.tock", "schedule": "every day"}
    factory = make_factory(beat_schedule={"good": good, "bad": bad})
    found = read_sources(factory)
    assert [one.spec.name for one in found.schedules] == ["good"]
    assert "'bad' cannot be read" in found.problems[0]


@pytest.fixture
def redbeat(valkey: PrivateValkey) -> Iterator[ScheduleFactory]:
    factory = make_factory(
        redbeat_redis_url=valkey.url,
        redbeat_key_prefix="mine:",
        beat_schedule={"tick": {"task": "jobs.tick", "schedule": 5.0}},
    )
    yield factory
    client = vars(factory.app).get("redbeat_redis")
    if client is not None:
        client.close()


def test_the_entries_of_redbeat(redbeat: ScheduleFactory) -> None:
    options = {"queue": "reports"}
    for name, planned in (("tick", 7.0), ("nightly", crontab("0", "2"))):
        RedBeatSchedulerEntry(
            name, "jobs.tick", planned, args=[3], options=options, app=redbeat.app
        ).save()
    off = RedBeatSchedulerEntry("off", "jobs.off", 9.0, app=redbeat.app, enabled=False)
    off.save()
    found = read(redbeat)
    assert {one.spec.source for one in found.values()} == {"redbeat"}
    assert found["tick"].spec.interval == 7.0, "its store counts, not the app"
    assert (found["nightly"].spec.when, found["nightly"].spec.queue) == (
        "0 2 * * *",
        "reports",
    )
    assert not found["off"].spec.enabled


def test_a_redbeat_that_is_away_is_a_problem_and_no_schedule() -> None:
    factory = make_factory(redbeat_redis_url="redis://127.0.0.1:1/0")
    found = read_sources(factory)
    assert found.failed == {"redbeat"}
    assert "the entries of RedBeat cannot be read" in found.problems[0]


DJANGO = """
import json, sys
from datetime import timedelta
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django_celery_beat"], USE_TZ=True, TIME_ZONE="UTC",
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}
    },
)
django.setup()
from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now
call_command("migrate", verbosity=0)
from django_celery_beat import models as m
each = m.IntervalSchedule.objects.create(every=10, period="seconds")
night = m.CrontabSchedule.objects.create(minute="0", hour="4", timezone="Europe/Berlin")
once = m.ClockedSchedule.objects.create(clocked_time=now() + timedelta(hours=1))
task = m.PeriodicTask.objects.create
day = timedelta(days=1)
task(name="each", task="jobs.tick", interval=each, args='[1, "a"]', queue="reports")
task(name="nightly", task="jobs.tick", crontab=night)
task(name="once", task="jobs.tick", clocked=once, one_off=True)
task(name="off", task="jobs.tick", interval=each, enabled=False)
task(name="later", task="jobs.tick", interval=each, start_time=now() + day)
task(name="ended", task="jobs.tick", interval=each, expires=now() - day)
from celery import Celery
from herald_monitor.celery_client.schedules.planned import ScheduleFactory
from herald_monitor.celery_client.schedules.sources import read_sources
app = Celery("project", set_as_current=False)
app.conf.beat_schedule = {"each": {"task": "jobs.tick", "schedule": 77.0}}
written = []
connection.execute_wrappers.append(
    lambda run, sql, *rest: (written.append(sql), run(sql, *rest))[1])
read = read_sources(ScheduleFactory(app, str))
at = now().timestamp()
def show(one):
    due = one.next_due(at)
    spec = one.spec
    return {"when": spec.when, "zone": spec.timezone, "args": spec.args,
            "queue": spec.queue, "enabled": spec.enabled, "source": spec.source,
            "until": spec.until and spec.until - at,
            "due": due and due - at, "again": due and one.next_due(due + 1)}
print(json.dumps({
    "problems": read.problems, "sql": written,
    "found": {one.spec.name: show(one) for one in read.schedules}}))
"""


def test_the_periodic_tasks_of_django(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, str(tmp_path / "db.sqlite3")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    said = json.loads(done.stdout)
    found = said["found"]
    assert said["problems"] == []
    assert all(sql.startswith("SELECT") for sql in said["sql"]), "it only reads"
    assert found["each"]["source"] == "django", "the database counts, not the app"
    assert (found["each"]["when"], found["each"]["queue"]) == ("every 10 s", "reports")
    assert found["each"]["args"] == "(1, 'a')"
    assert (found["nightly"]["when"], found["nightly"]["zone"]) == (
        "0 4 * * *",
        "Europe/Berlin",
    )
    assert 3_500 < found["once"]["due"] <= 3_600
    assert found["once"]["again"] is None
    assert not found["off"]["enabled"]
    assert 86_000 < found["later"]["due"] <= 86_400
    assert found["ended"]["until"] < 0


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_schedules_of_a_herald_toml(tmp_path: Path) -> None:
    path = write(
        tmp_path / "herald.toml",
        """
        [schedules.nightly-report]
        task = "reports.nightly"
        crontab = "0 2 * * 1-5"
        timezone = "Europe/Berlin"
        grace = 120
        [schedules.tick]
        task = "jobs.tick"
        interval = 30
        kwargs = { kind = "all" }
        """,
    )
    nightly, tick = read_declared_schedules(path, make_factory())
    assert (nightly.spec.when, nightly.spec.timezone) == (
        "0 2 * * 1-5",
        "Europe/Berlin",
    )
    assert (nightly.spec.grace, nightly.spec.args) == (120.0, None)
    saturday = datetime.fromisoformat("2026-03-28T12:00:00Z").timestamp()
    monday = datetime.fromisoformat("2026-03-30T00:00:00Z").timestamp()
    assert nightly.next_due(saturday) == monday, "in summer time"
    assert (tick.spec.interval, tick.spec.kwargs) == (30.0, "{'kind': 'all'}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("schedules = 3", "must be tables"),
        ("[schedules]\nx = 3", "must be a table"),
        ("[schedules.x]\ninterval = 3", "needs task"),
        ('[schedules.x]\ntask = "a"', "needs crontab"),
        ('[schedules.x]\ntask = "a"\ninterval = 0', "interval must be"),
        ('[schedules.x]\ntask = "a"\ninterval = true', "interval must be"),
        ('[schedules.x]\ntask = "a"\ncrontab = "1 2"', "five fields"),
        ('[schedules.x]\ntask = "a"\ncrontab = "99 * * * *"', "is not valid"),
        (
            '[schedules.x]\ntask = "a"\ncrontab = "* * * * *"\ntimezone = "Mars"',
            "is not known",
        ),
        ('[schedules.x]\ntask = "a"\ninterval = 3\ngrace = "5"', "grace must be"),
        ('[schedules.x]\ntask = "a"\ninterval = 3\nargs = 5', "args must be an array"),
        ('[schedules.x]\ntask = "a"\ninterval = 3\nname = "y"', "unknown key 'name'"),
        ('[schedules."x\\n"]\ntask = "a"\ninterval = 3', "must be named"),
        ("[schedules", "cannot read"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_table(
    tmp_path: Path, text: str, why: str
) -> None:
    path = write(tmp_path / "herald.toml", text)
    with pytest.raises(InvalidInput, match=why):
        read_declared_schedules(path, make_factory())
