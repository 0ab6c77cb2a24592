"""All sources of schedules of an app, read one after another.

Blocking: for a thread of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from herald_core.model.schedules.spec import MAX_SCHEDULES, SCHEDULERS
from herald_monitor.celery_client.schedules.app_source import read_app_schedules
from herald_monitor.celery_client.schedules.django_source import read_django_schedules
from herald_monitor.celery_client.schedules.planned import (
    PlannedSchedule,
    ScheduleFactory,
)
from herald_monitor.celery_client.schedules.redbeat_source import (
    read_redbeat_schedules,
)


class PlannedSchedules(NamedTuple):
    """The schedules of all sources, and sentences about what could not be read.

    Of `failed` sources nothing is known this time.
    """

    schedules: tuple[PlannedSchedule, ...]
    problems: tuple[str, ...]
    failed: frozenset[str] = frozenset()


def read_sources(
    factory: ScheduleFactory, declared: Sequence[PlannedSchedule] = ()
) -> PlannedSchedules:
    """Return the schedules of the app, of its stores, and the `declared` ones."""
    readings = {
        source: read(factory)
        for source, read in zip(
            SCHEDULERS,
            (read_app_schedules, read_django_schedules, read_redbeat_schedules),
            strict=True,
        )
    }
    found = [*declared]
    # A scheduler with a store of its own copies the entries of the app into it.
    for source in reversed(SCHEDULERS):
        named = {(one.spec.name, one.spec.task) for one in found}
        found += [
            one
            for one in readings[source].schedules
            if (one.spec.name, one.spec.task) not in named
        ]
    problems = [one.problem for one in readings.values() if one.problem]
    if len(found) > MAX_SCHEDULES:
        problems.append(f"only {MAX_SCHEDULES} of {len(found)} schedules are followed")
    failed = {
        source for source, one in readings.items() if one.problem and not one.schedules
    }
    return PlannedSchedules(
        tuple(found[:MAX_SCHEDULES]), tuple(problems), frozenset(failed)
    )
