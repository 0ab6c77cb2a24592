"""The tools that wait for tasks and groups; they use pushed changes, no polling."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from pydantic import Field

from herald_core.model.filters import Filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.auth.quotas.watched_values import hold_filter_values
from herald_server.catalog.catalog import Catalog
from herald_server.insight.groups.members import MAX_MEMBERS
from herald_server.insight.groups.reader import GroupReader, GroupSummary
from herald_server.insight.stats.durations import RuntimeEstimator
from herald_server.mcp.answers import presenters
from herald_server.mcp.answers.listing import validate_task_id
from herald_server.mcp.answers.pages import DEFAULT_ROWS
from herald_server.mcp.answers.short import SHORT
from herald_server.mcp.answers.task_results import ResultReader
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.groups import GroupStatus
from herald_server.mcp.models.tasks import AwaitedTask
from herald_server.mcp.parameters import (
    Detail,
    GroupId,
    Limit,
    MaxChars,
    TaskId,
    add_read_tool,
)
from herald_server.mcp.profiles.profile import MAX_WAIT_S, get_profile
from herald_server.mcp.tools.groups import make_group_status, select_members
from herald_server.push.session.follow import TaskWaiter

UNKNOWN_WAIT_S = 2.0
"""Seconds to wait for an unknown id: its task may have been sent a moment ago."""

WaitSeconds = Annotated[
    float,
    Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait at most; up to 45"),
]


class WaitTools:
    """The tools `wait_for_task` and `wait_for_group`."""

    def __init__(
        self,
        waiter: TaskWaiter,
        catalog: Catalog,
        results: ResultReader,
        durations: RuntimeEstimator,
        groups: GroupReader,
    ) -> None:
        self._groups = groups
        self._durations = durations
        self._waiter = waiter
        self._catalog = catalog
        self._results = results

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_read_tool(mcp, self.wait_for_task, "Wait for a task")
        add_read_tool(mcp, self.wait_for_group, "Wait for a group")

    async def wait_for_task(
        self,
        ctx: Context,
        task_id: TaskId,
        timeout_s: WaitSeconds = MAX_WAIT_S,
        most: MaxChars = presenters.MAX_RESULT_CHARS,
    ) -> AwaitedTask:
        """Wait until a task ends, at most 45 s, and return its status and result.

        Answers the moment the task ends, and reports progress meanwhile. If
        `done` is false the task still runs: call again with the same task_id,
        nothing is lost. Giving up waiting does not cancel the task.
        """
        with convert_to_tool_error():
            require_scope("read", "wait_for_task")
            with hold_filter_values(1):
                task = await self._waiter.wait_for(
                    validate_task_id(task_id),
                    presenters.is_done,
                    limit_wait(timeout_s),
                    unknown_timeout_s=UNKNOWN_WAIT_S,
                    report=ProgressReporter(ctx),
                )
            measured = await self._durations.measure_name(task.name)
        outcome = await self._results.read(task)
        fields = presenters.make_status_fields(
            task, self._catalog, outcome, measured, most
        )
        done = presenters.is_done(task)
        if not done and task.state != views.UNKNOWN:
            fields["message"] += presenters.describe_wait(task, time.time())
        return AwaitedTask(**fields, done=done)

    async def wait_for_group(
        self,
        ctx: Context,
        group_id: GroupId,
        timeout_s: WaitSeconds = MAX_WAIT_S,
        limit: Limit = DEFAULT_ROWS,
        detail: Detail = SHORT,
    ) -> GroupStatus:
        """Wait until a group or chain has ended, at most 45 s, and tell how it went.

        Reports meanwhile how many have ended. If `done` is false call again with the
        same group_id, nothing is lost.
        """

        async def read() -> GroupSummary | None:
            found = await self._groups.read_summary(group_id)
            if found is not None:
                await ctx.report_progress(
                    found.over, found.total if found.whole else None
                )
            return found

        with convert_to_tool_error():
            require_scope("read", "wait_for_group")
            group_id = validate_task_id(group_id, "group_id")
            with hold_filter_values(1):
                found = await self._waiter.wait_until(
                    Filter(group=(group_id,)),
                    read,
                    is_group_done,
                    limit_wait(timeout_s),
                )
            members = await self._groups.read_members(group_id, MAX_MEMBERS)
        shown = select_members(members, limit, detail)
        status = make_group_status(group_id, found, shown, self._catalog, detail)
        if found is not None and not found.is_done:
            status.message += " Call wait_for_group again to go on waiting."
        return status


def limit_wait(timeout_s: float) -> float:
    """Return the seconds that a call may wait, by the profile of its client."""
    return min(timeout_s, get_profile().max_wait_s)


def is_group_done(found: GroupSummary | None) -> bool:
    """Return True if there is nothing to wait for: it has ended, or is unknown."""
    return found is None or found.is_done


class ProgressReporter:
    """Reports a task's progress during a call: only changes, and never backwards."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last_message = ""
        self._at = -1.0

    async def __call__(self, task: TaskView) -> None:
        """Report `task` if it has changed."""
        if task.state == views.UNKNOWN:
            return
        percent = presenters.get_progress(task)
        message = _describe_progress(task)
        if message == self._last_message and (percent is None or percent <= self._at):
            return
        # The protocol requires increasing numbers, so a change without a percentage
        # adds a small amount. 100 is kept for the end.
        at = self._at + 0.001 if self._at >= 0 else 0.0
        at = max(at, percent if task.final else min(percent, 99.9)) if percent else at
        self._last_message, self._at = message, at
        await self._ctx.report_progress(round(at, 3), 100.0, message)


def _describe_progress(task: TaskView) -> str:
    message = task.progress.message if task.progress else None
    state = presenters.get_status(task)
    return f"{state}: {message}" if message else state
