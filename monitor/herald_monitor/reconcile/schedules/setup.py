"""Build the follower of schedules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from celery import Celery

from herald_core.model.schedules.spec import DEFAULT_GRACE_S
from herald_core.store.ports import Store
from herald_monitor.celery_client.schedules.declared_source import (
    read_declared_schedules,
)
from herald_monitor.celery_client.schedules.planned import ScheduleFactory
from herald_monitor.reconcile.schedules.follower import (
    CHECK_INTERVAL_S,
    ScheduleFollower,
)
from herald_monitor.reconcile.schedules.learner import ScheduleLearner
from herald_monitor.reconcile.schedules.planner import SchedulePlanner
from herald_monitor.reconcile.schedules.run_reader import RunReader


class SchedulesOptions(NamedTuple):
    """How periodic tasks are followed: seconds between two checks (0: never), seconds
    of grace, and the `herald.toml` that declares some."""

    every: float = CHECK_INTERVAL_S
    grace: float = DEFAULT_GRACE_S
    declared_in: Path | None = None


def make_follower(
    app: Celery,
    store: Store,
    redact: Callable[[str], str],
    options: SchedulesOptions,
    is_leader: Callable[[], bool],
    find_stored_until: Callable[[float], float],
) -> ScheduleFollower:
    """Return the follower of the schedules of `app`, not running yet.

    Raises `InvalidInput` if the declared ones are not valid.
    """
    factory = ScheduleFactory(app, redact, options.grace)
    path = options.declared_in
    declared = () if path is None else read_declared_schedules(path, factory)
    runs = RunReader(store)
    planner = SchedulePlanner(store, factory, ScheduleLearner(store, runs), declared)
    return ScheduleFollower(
        store, planner, runs, is_leader, find_stored_until, options.every
    )
