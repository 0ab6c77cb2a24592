"""Schedules in a store, as the monitor that follows them stores them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from herald_core.model.documents import replace_with
from herald_core.model.schedules.follow import Sight, advance, begin_track
from herald_core.model.schedules.learning import LearntSchedule, make_learnt_spec
from herald_core.model.schedules.spec import ScheduleSpec, make_schedule_id
from herald_core.model.schedules.views import ScheduleMarks, make_view
from herald_core.store.ports import Store


def make_spec(name: str, task: str = "add", **fields: Any) -> ScheduleSpec:
    """Return a schedule of the app, every minute."""
    given: dict[str, Any] = {"args": "(1, 2)", "kwargs": "{}", **fields}
    return ScheduleSpec(
        id=make_schedule_id("app", name),
        name=name,
        task=task,
        source="app",
        when="every 1 min",
        interval=60.0,
        **given,
    )


async def store_schedule(
    store: Store, spec: ScheduleSpec, *, missed: int = 0, **options: Any
) -> str:
    """Store a schedule, the last `missed` runs of which are missing."""

    def next_due(after: float) -> float:
        return after + 60.0

    now = time.time()
    start = now - 60.0 * missed - 45.0
    track = begin_track(spec, next_due, start)
    sight = Sight(now=now, known_until=now)
    track = advance(track, spec, [], next_due, sight)
    image = make_view(spec, track, now, **options)
    await store.update_documents(
        "schedules", {spec.id: replace_with(image)}, now=now, seconds=600
    )
    return spec.id


async def store_learnt(store: Store, task: str = "add") -> str:
    """Store a schedule that was learnt and is not confirmed."""
    now = time.time()
    learnt = LearntSchedule(
        task=task,
        args="(1, 2)",
        kwargs="{}",
        interval=60.0,
        jitter=0.1,
        runs=9,
        first=now - 500,
        last=now - 20,
    )
    spec = make_learnt_spec(msgspec.structs.replace(learnt))
    marks = ScheduleMarks(confirmed=False)
    return await store_schedule(store, spec, marks=marks, learnt=learnt)
