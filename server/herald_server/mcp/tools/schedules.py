"""The tools `list_schedules`, `run_schedule` and `mark_schedule`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult
from pydantic import Field

from herald_core.errors import InvalidInput
from herald_server.api.context import ServerContext
from herald_server.auth.identity import ScopedTokenRefused
from herald_server.control.control import StartResult
from herald_server.control.schedules import MarkAction
from herald_server.insight.schedules.reader import (
    STATE_ORDER,
    ScheduleOverview,
    list_alerts,
)
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.elicitation import start_with_consent
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.schedules import (
    ListedSchedules,
    MarkedSchedule,
    ScheduleState,
)
from herald_server.mcp.models.tasks import StartedTask
from herald_server.mcp.parameters import (
    Confirm,
    Limit,
    NextPage,
    add_read_tool,
    add_write_tool,
)
from herald_server.mcp.start import make_started_answer, require_control, run_shielded

MAX_NAMED = 5

ScheduleKey = Annotated[
    str, Field(description="A schedule's id or name, as list_schedules returned it")
]


class ScheduleTools:
    """Tools of periodic tasks."""

    def __init__(self, shared: ServerContext) -> None:
        self._reader = shared.schedules
        self._orders = shared.schedule_orders

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_read_tool(mcp, self.list_schedules, "List periodic tasks")
        add_write_tool(
            mcp, self.run_schedule, "Run a periodic task now", idempotent=False
        )
        add_write_tool(
            mcp, self.mark_schedule, "Confirm or mute a schedule", idempotent=True
        )

    async def list_schedules(
        self,
        state: Annotated[
            str | None,
            Field(description="Only schedules in this state, such as missed"),
        ] = None,
        limit: Limit = DEFAULT_ROWS,
        page: NextPage = None,
    ) -> ListedSchedules:
        """List the periodic tasks: next and last run, and which did not run.

        Use it when a nightly or regular job seems not to have run. The most urgent
        come first.
        """
        with convert_to_tool_error():
            require_scope("read", "list_schedules")
            if state is not None and state not in STATE_ORDER:
                raise InvalidInput(f"state must be one of {', '.join(STATE_ORDER)}")
            found = await self._reader.read_all()
            chosen = [one for one in found.schedules if state in (None, one["state"])]
            shown, next_page = cut_page(chosen, limit, page)
        return ListedSchedules(
            total=len(chosen),
            schedules=[ScheduleState(**one) for one in shown],
            next=next_page,
            message=describe_schedules(found),
        )

    async def run_schedule(
        self, ctx: Context, schedule: ScheduleKey, confirm: Confirm = False
    ) -> StartedTask | InputRequiredResult:
        """Run a periodic task now, with the arguments of its schedule.

        Follow it with wait_for_task. The schedule itself stays as it is.
        """
        with convert_to_tool_error():
            _require_whole("start", "run_schedule")
            control = require_control(self._orders.control)

            async def start(ticket: str | None) -> StartResult:
                return await run_shielded(
                    self._orders.run(control, schedule, ticket=ticket)
                )

            started = await start_with_consent(
                ctx, start, confirm, control.consents.policy
            )
        if isinstance(started, InputRequiredResult):
            return started
        return make_started_answer(started)

    async def mark_schedule(
        self,
        schedule: ScheduleKey,
        action: Annotated[
            MarkAction,
            Field(
                description="confirm one that was learnt, so that missed runs are"
                " alerts; mute its alerts, or unmute them"
            ),
        ],
    ) -> MarkedSchedule:
        """Confirm, mute or unmute the schedule of a periodic task."""
        with convert_to_tool_error():
            _require_whole("admin", "mark_schedule")
            done = await self._orders.mark(schedule, action)
        return MarkedSchedule(id=done.id, name=done.name, message=done.message)


def _require_whole(scope: str, tool: str) -> None:
    who = require_scope(scope, tool)
    if who.task_filter is not None:
        raise ScopedTokenRefused(tool)


def describe_schedules(found: ScheduleOverview) -> str:
    """Return a message about what needs attention. Pure."""
    if not found.schedules:
        return (
            "No schedule is known: start the monitor with -A PROJECT, or declare"
            " [schedules.NAME] in the herald.toml."
        )
    alerts = list_alerts(found.schedules)
    named = [f"{one['name']}: {one['message']}" for one in alerts[:MAX_NAMED]]
    return " ".join([*named, *_describe_rest(alerts), *found.sources.problems])


def _describe_rest(alerts: Sequence[object]) -> list[str]:
    if not alerts:
        return ["All schedules run as declared."]
    more = len(alerts) - MAX_NAMED
    return [f"{more} more need attention."] if more > 0 else []
