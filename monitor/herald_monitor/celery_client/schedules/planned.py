"""A schedule with its due times, made of what a source declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from celery import Celery
from celery.schedules import maybe_schedule
from celery.utils.saferepr import saferepr

from herald_core.model.events.event import MAX_NAME, shorten
from herald_core.model.schedules.follow import NextDue
from herald_core.model.schedules.spec import (
    DEFAULT_GRACE_S,
    ScheduleSpec,
    make_schedule_id,
)
from herald_monitor.celery_client.schedules.due_times import (
    describe_schedule,
    find_interval,
    make_next_due,
    name_zone,
)

MAX_ARGUMENT_CHARS = 1_024
"""Characters of the texts of arguments, as in the events of Celery."""


class PlannedSchedule(NamedTuple):
    """What is known of a schedule, and how its next due time is computed."""

    spec: ScheduleSpec
    next_due: NextDue


class ScheduleEntry(NamedTuple):
    """An entry of a source, with the names that Celery gives its parts."""

    name: str
    task: str
    schedule: Any
    args: Sequence[object] | None = ()
    kwargs: Mapping[str, object] | None = None
    options: Mapping[str, Any] | None = None
    relative: bool = False
    enabled: bool = True
    until: float | None = None
    grace: float | None = None


class SourceContents(NamedTuple):
    """What a source declares, and a sentence about what could not be read of it."""

    schedules: tuple[PlannedSchedule, ...] = ()
    problem: str = ""


class ScheduleFactory:
    """Makes schedules of one app; `redact` is applied to their arguments."""

    def __init__(
        self,
        app: Celery,
        redact: Callable[[str], str],
        grace: float = DEFAULT_GRACE_S,
    ) -> None:
        self.app = app
        self._redact = redact
        self._grace = grace

    def make(self, source: str, entry: ScheduleEntry) -> PlannedSchedule:
        """Return the schedule of an entry. Raises what its parts raise."""
        planned = cast(Any, maybe_schedule(entry.schedule, entry.relative, self.app))
        if not hasattr(planned, "remaining_estimate"):
            raise TypeError(f"{type(planned).__name__} is no schedule of Celery")
        options = entry.options or {}
        countdown = options.get("countdown")
        spec = ScheduleSpec(
            id=make_schedule_id(source, entry.name),
            name=shorten(entry.name, MAX_NAME),
            task=str(entry.task)[:MAX_NAME],
            source=source,
            when=describe_schedule(planned),
            timezone=name_zone(planned, self.app),
            args=self._describe_arguments(tuple(entry.args or ())),
            kwargs=self._describe_arguments(dict(entry.kwargs or {})),
            queue=_name_queue(options.get("queue")),
            enabled=entry.enabled,
            interval=find_interval(planned),
            delay=float(countdown) if isinstance(countdown, int | float) else 0.0,
            grace=self._grace if entry.grace is None else entry.grace,
            until=entry.until,
        )
        return PlannedSchedule(spec, make_next_due(planned, self.app))

    def make_all(
        self, source: str, entries: Sequence[ScheduleEntry], what: str
    ) -> SourceContents:
        """Return the schedules of `entries`; `what` names their source in messages."""
        made: list[PlannedSchedule] = []
        problem = ""
        for entry in entries:
            try:
                made.append(self.make(source, entry))
            except Exception as error:  # entries are the project's own
                why = f"{type(error).__name__}: {error}"[:MAX_NAME]
                problem = f"{what} {entry.name!r} cannot be read ({why})"
        return SourceContents(tuple(made), problem)

    def _describe_arguments(
        self, given: tuple[object, ...] | dict[str, object]
    ) -> str | None:
        """Return arguments as Celery's events hold them; None if beat computes them."""
        values = given.values() if isinstance(given, dict) else given
        if any(type(value).__name__ == "BeatLazyFunc" for value in values):
            return None
        return self._redact(cast(str, cast(Any, saferepr)(given, MAX_ARGUMENT_CHARS)))


def _name_queue(queue: object) -> str | None:
    if queue is None:
        return None
    return str(getattr(queue, "name", queue))[:MAX_NAME]
