"""A periodic task, as its source declares it. Pure."""

from __future__ import annotations

import hashlib

import msgspec

APP = "app"
DJANGO = "django"
REDBEAT = "redbeat"
DECLARED = "toml"
LEARNT = "learnt"
"""Sources: the app's `beat_schedule`, django-celery-beat, RedBeat, `[schedules]` of
`herald.toml`, and regular submissions."""

SCHEDULERS = (APP, DJANGO, REDBEAT)
"""Sources whose schedules one scheduler process (`celery beat`) submits."""

TAG_PREFIX = "schedule:"
"""Prefix of the tag that names the schedule of a task, where its message does."""

MAX_TAG_CHARS = 64
DEFAULT_GRACE_S = 30.0
MAX_SCHEDULES = 1_000
"""Schedules that are followed; further ones are counted and reported."""


class ScheduleSpec(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False
):
    """A schedule of a task. Durations are in seconds.

    `when` is the schedule as a text. `args` and `kwargs` are texts as Celery's events
    hold them, redacted; None if they are computed when the task is sent. `interval` is
    given where each run is due that long after the one before, and None where the
    calendar decides. `delay` is the countdown with which its tasks are sent. A run must
    be submitted, and started, within `grace` after it is due.
    """

    id: str
    name: str
    task: str
    source: str
    when: str
    timezone: str = ""
    args: str | None = None
    kwargs: str | None = None
    queue: str | None = None
    enabled: bool = True
    interval: float | None = None
    delay: float = 0.0
    grace: float = DEFAULT_GRACE_S
    until: float | None = None
    """When the schedule ends (unix seconds)."""


def make_schedule_id(source: str, name: str) -> str:
    """Return the id of a schedule, which can stand in an address."""
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    return f"{source}-{digest[:12]}"


def make_tag(name: str) -> str:
    """Return the tag of the tasks of the schedule `name`."""
    return (TAG_PREFIX + name)[:MAX_TAG_CHARS]


def make_fingerprint(spec: ScheduleSpec) -> str:
    """Return a text that differs if another time, or other tasks, are expected."""
    parts = (spec.task, spec.when, spec.timezone, spec.args, spec.kwargs, spec.enabled)
    return hashlib.sha256(repr(parts).encode("utf-8", "replace")).hexdigest()[:16]
