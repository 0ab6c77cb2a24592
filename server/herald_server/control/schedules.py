"""Orders about schedules: confirm a learnt one, mute one, run one now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.schedules.learning import read_learnt
from herald_core.model.schedules.marks import (
    CONFIRMED_KIND,
    MARK_TTL_S,
    MUTED_KIND,
    ScheduleMark,
    encode_item,
)
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.auth.request_context import get_identity
from herald_server.control.control import Control, StartResult
from herald_server.control.start.schedule_run import make_schedule_request
from herald_server.insight.schedules.reader import ScheduleReader

MarkAction = Literal["confirm", "mute", "unmute"]
ACTIONS: tuple[MarkAction, ...] = ("confirm", "mute", "unmute")


class ScheduleResult(msgspec.Struct, frozen=True):
    """A schedule that was marked, and what that means, as a sentence."""

    id: str
    name: str
    action: str
    message: str


class ScheduleOrders:
    """Marks schedules in `store`, and runs them through `control`."""

    def __init__(
        self,
        store: Store,
        reader: ScheduleReader,
        audit: AuditLog,
        control: Control | None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._audit = audit
        self.control = control

    async def mark(self, key: str, action: MarkAction) -> ScheduleResult:
        """Confirm, mute or unmute the schedule with an id or name.

        Raises `UnknownSchedule`, `InvalidInput`, `StoreError`, and
        `ScopedTokenRefused` for narrow tokens.
        """
        schedule = await self._reader.find(key)
        if action == "confirm":
            message = await self._confirm(schedule)
        elif action == "mute":
            message = await self._mute(schedule)
        else:
            await self._store.delete_item(MUTED_KIND, schedule["id"])
            message = "Its problems are alerts again."
        await self._audit.record(
            f"{action}_schedule", schedule["id"], name=schedule["name"]
        )
        return ScheduleResult(schedule["id"], schedule["name"], action, message)

    async def _confirm(self, schedule: Mapping[str, Any]) -> str:
        learnt = read_learnt(schedule)
        if learnt is None:
            raise InvalidInput(
                f"the schedule {schedule['name']!r} is declared by its source: only one"
                " that was learnt is confirmed",
                "id",
            )
        await self._put(CONFIRMED_KIND, schedule["id"], _make_mark(learnt=learnt))
        return "It is judged from now on: runs that are missed or late are alerts."

    async def _mute(self, schedule: Mapping[str, Any]) -> str:
        await self._put(MUTED_KIND, schedule["id"], _make_mark())
        return "Its problems are shown, and are no alerts, until it is unmuted."

    async def _put(self, kind: str, id_: str, mark: ScheduleMark) -> None:
        await self._store.put_item(kind, id_, encode_item(mark), MARK_TTL_S)

    async def run(
        self, control: Control, key: str, *, ticket: str | None = None
    ) -> StartResult:
        """Run the schedule with an id or name now. Raises as `Control.start`."""
        schedule = await self._reader.find(key)
        request = make_schedule_request(schedule)
        return await control.start_request(
            request, "run_schedule", schedule["id"], ticket=ticket
        )


def _make_mark(**fields: Any) -> ScheduleMark:
    who = get_identity()
    return ScheduleMark(
        by=who.name if who else "herald", at=to_rfc3339(time.time()), **fields
    )
