"""The periodic tasks of the sample project, and what submits them instead of beat."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from celery import Celery
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import crontab

from herald_server.demo.task_names import IMPORT_ABSENCES, SEARCH_ROSTER

MISSED_NAME: Final = "absence-import"
MISSED_EACH: Final = 3
"""Each third run of this one is not submitted: a run that is missing can be seen."""

PERIODIC_TASKS: Final[dict[str, dict[str, Any]]] = {
    "roster-check": {
        "task": SEARCH_ROSTER,
        "schedule": 20.0,
        "kwargs": {"rounds": 25},
    },
    MISSED_NAME: {
        "task": IMPORT_ABSENCES,
        "schedule": 60.0,
        "kwargs": {"batch": 1_000},  # the trickle has smaller ones
    },
    "nightly-roster": {
        "task": SEARCH_ROSTER,
        "schedule": crontab(hour="2", minute="30"),
        "kwargs": {"rounds": 50},
    },
}
"""The `beat_schedule` of the project. No other task of it has these arguments."""


class MissingScheduler(Scheduler):  # type: ignore[misc,unused-ignore]
    """Celery's scheduler, in memory; leaves out each third run of `MISSED_NAME`."""

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Submit the run that is due, unless it is one to be missed."""
        # The run that is due is not counted yet: the first one is submitted.
        if entry.name == MISSED_NAME and entry.total_run_count % MISSED_EACH == 1:
            return
        super().apply_entry(entry, producer=producer)


class Beat:
    """Submits the periodic tasks of `app`, in the caller's thread."""

    def __init__(self, app: Celery) -> None:
        logging.getLogger("celery.beat").setLevel(logging.WARNING)  # it tells each run
        self._scheduler: Any = MissingScheduler(app=app)

    def run(self, stop: threading.Event) -> None:
        """Submit what is due until `stop` is set; blocks."""
        while not stop.wait(max(self._scheduler.tick(), 0.0)):
            pass
