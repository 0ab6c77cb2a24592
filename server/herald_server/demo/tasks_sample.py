"""Small tasks that end otherwise: they fail, retry, are revoked, or say nothing."""

from __future__ import annotations

import csv
import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from statistics import pstdev
from typing import Any, Final

from celery import Task, shared_task
from celery.exceptions import Ignore
from celery.worker.state import revoked

from herald_server.demo.planning import database
from herald_server.demo.planning.coverage import solve
from herald_server.demo.planning.periods import now
from herald_server.demo.planning.plan import problem_of
from herald_server.demo.planning.schedule import Absence
from herald_server.demo.progress import forward
from herald_server.demo.task_names import (
    IMPORT_ABSENCES,
    NOTE_PRESENCE,
    SEARCH_ROSTER,
    SYNC_CALENDAR,
)

Result = dict[str, Any]

DAMAGED_EACH: Final = 3
"""Each third batch of absences has a line that cannot be read."""

logger = logging.getLogger(__name__)


class CalendarBusy(Exception):
    """The calendar of a service is being written by somebody else."""


@shared_task(bind=True, name=IMPORT_ABSENCES)
def import_absences(self: Task[..., Result], batch: int = 0) -> Result:
    """Read a batch of absences; each third batch is damaged and fails."""
    with database.opened(database.demo_path()) as db:
        faculty = database.people(db).faculty
    lines = list(_batch(batch, len(faculty)))
    progress = forward()
    read: list[Absence] = []
    for number, row in enumerate(csv.reader(lines), start=1):
        read.append(_absence(number, row))
        progress(number, len(lines), f"{number} lines read")
    return {"batch": batch, "absences": len(read)}


@shared_task(bind=True, name=SYNC_CALENDAR, max_retries=3)
def sync_calendar(self: Task[..., Result], service: str = "clinic") -> Result:
    """Write a service's calendar; it is busy twice, and tried again soon."""
    attempt = self.request.retries + 1
    if attempt <= 2:
        busy = CalendarBusy(f"the calendar of {service} is busy (attempt {attempt})")
        raise self.retry(exc=busy, countdown=0.5)
    today = now().date()
    with database.opened(database.demo_path()) as db:
        weeks = database.weeks(db, today, today + timedelta(days=6))
    blocks = sum(b.service == service for week in weeks for b in week.blocks)
    return {"service": service, "blocks": blocks, "attempts": attempt}


@shared_task(bind=True, name=SEARCH_ROSTER)
def search_roster(self: Task[..., Result], rounds: int = 2000) -> Result:
    """Search for the most even roster of a week: long, made to be revoked."""
    today = now().date()
    with database.opened(database.demo_path()) as db:
        people, weeks = database.people(db), database.weeks(db, today, today)
    progress = forward()
    rng = random.Random(rounds)
    best = float("inf")
    for number in range(1, rounds + 1):
        _stop_if_revoked(self)
        blocks = list(weeks[0].blocks)
        rng.shuffle(blocks)
        week = replace(weeks[0], blocks=tuple(blocks))
        best = min(best, pstdev(solve(problem_of(people, week)).load))
        progress(number, rounds, f"best deviation {best:.3f} blocks")
    return {"rounds": rounds, "deviation": round(best, 4)}


@shared_task(name=NOTE_PRESENCE, ignore_result=True)
def note_presence() -> None:
    """Count who is on duty today; nobody keeps the result."""
    today = now().date()
    with database.opened(database.demo_path()) as db:
        (week,) = database.weeks(db, today, today)
        faculty = len(database.people(db).faculty)
    away = sum(absence.day == today for absence in week.absences)
    logger.info("%d of %d faculty are present", faculty - away, faculty)


def _stop_if_revoked(task: Task[..., Any]) -> None:
    # A process pool kills the child. Threads cannot be killed, so in a pool of
    # threads the task looks for itself, and says so as the worker would.
    task_id = task.request.id
    if task_id is None or task_id not in revoked:
        return
    task.backend.mark_as_revoked(task_id, "terminated", request=task.request)
    task.send_event("task-revoked", terminated=True, signum="SIGTERM", expired=False)
    raise Ignore


def _batch(batch: int, faculty: int) -> Iterator[str]:
    rng = random.Random(f"absences:{batch}")
    damaged = 150 if batch % DAMAGED_EACH == DAMAGED_EACH - 1 else None
    for line in range(1, 301):
        month, day = rng.randint(1, 12), rng.randint(1, 28)
        if line == damaged:
            month, day = 2, 30
        yield f"{rng.randrange(faculty)},2026-{month:02}-{day:02},{rng.randrange(2)}"


def _absence(number: int, row: list[str]) -> Absence:
    try:
        who, day, late = row
        return Absence(int(who), date.fromisoformat(day), late == "1")
    except ValueError as error:
        raise ValueError(f"line {number}: {','.join(row)}: {error}") from error
