"""Follow schedules in a store in memory, at times that the test gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery

from herald_core.model.events.event import Event
from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_monitor.reconcile.schedules.follower import CHECK_INTERVAL_S
from herald_monitor.reconcile.schedules.setup import SchedulesOptions, make_follower

NOW = 1_764_460_800.0  # 2025-11-30T00:00:00Z


class FollowedSchedules:
    """A store, and the follower of the schedules of `app`.

    `now` is the present time of the test; all events are stored by then.
    """

    def __init__(
        self,
        app: Celery,
        store: Store | None = None,
        declared_in: Path | None = None,
        **options: Any,
    ) -> None:
        self.store = store or MemoryStore()
        self.now = NOW
        self.sent = 0
        self.follower = make_follower(
            app,
            self.store,
            str,
            SchedulesOptions(declared_in=declared_in, **options),
            lambda: True,
            lambda now: now,
        )

    async def run(self, name: str, at: float, **fields: Any) -> str:
        """Store a task that was submitted at `at` and succeeded 0.5 s later."""
        self.sent += 1
        task_id = f"{name}-{self.sent}"
        common = {"host": "beat@h", "args": "()", "kwargs": "{}"}
        given: dict[str, Any] = {**common, **fields}
        kinds = (("sent", 0.0), ("received", 0.1), ("started", 0.2), ("succeeded", 0.5))
        events = [
            Event(
                kind=kind,
                task_id=task_id,
                name=name,
                at=at + delay,
                clock=self.sent * 10 + number,
                pid=1,
                **given,
            )
            for number, (kind, delay) in enumerate(kinds)
        ]
        await self.store.store(events, now=at + 1)
        return task_id

    async def check_until(self, end: float) -> None:
        """Check every 5 s until `end` (unix seconds)."""
        while self.now < end:
            self.now += CHECK_INTERVAL_S
            await self.follower.check(self.now)

    async def list_images(self) -> dict[str, dict[str, Any]]:
        """Return the stored schedules by name."""
        found = await self.store.list_documents("schedules")
        return {one.data["name"]: dict(one.data) for one in found}
