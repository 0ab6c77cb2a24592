"""Tools of groups and chains."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from fastmcp import FastMCP
from pydantic import Field

from herald_core.errors import InvalidInput
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.catalog.catalog import Catalog
from herald_server.control import control as orders_
from herald_server.control.cancel.sentences import describe_cancel, describe_group
from herald_server.control.control import Control
from herald_server.control.start.canvas import MemberSpec
from herald_server.control.start.send_options import parse_options
from herald_server.insight.groups.members import MAX_MEMBERS
from herald_server.insight.groups.reader import GroupReader, GroupSummary
from herald_server.mcp.answers import timeline
from herald_server.mcp.answers.listing import validate_task_id
from herald_server.mcp.answers.pages import DEFAULT_ROWS
from herald_server.mcp.answers.short import FULL, SHORT, DetailLevel
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.input_schemas import MEMBERS
from herald_server.mcp.models.groups import (
    CancelledGroup,
    GroupStatus,
    StartedGroupAnswer,
)
from herald_server.mcp.models.tasks import CancelledTask, StartedTask
from herald_server.mcp.parameters import (
    Countdown,
    Detail,
    Eta,
    Expires,
    GroupId,
    Limit,
    Priority,
    Queue,
    Tags,
    add_read_tool,
    add_write_tool,
    remove_unset,
)
from herald_server.mcp.start import remove_nulls, require_control, run_shielded

CANCELLED_OUTCOMES = ("revoked", "terminated", "too_late")
FAILED_STATES = (views.FAILURE, views.LOST, views.REJECTED, views.REVOKED)

Members = Annotated[
    list[dict[str, Any]],
    Field(
        json_schema_extra=MEMBERS,
        description='The tasks, at most 500, each as {"task_type": …, "params": {…}}',
    ),
]


class GroupTools:
    """The tools that start, show and cancel groups and chains."""

    def __init__(
        self, groups: GroupReader, control: Control | None, catalog: Catalog
    ) -> None:
        self._groups = groups
        self._control = control
        self._catalog = catalog

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_write_tool(mcp, self.start_task_group, "Start a group", idempotent=False)
        add_write_tool(mcp, self.start_task_chain, "Start a chain", idempotent=False)
        add_read_tool(mcp, self.get_group_status, "Get a group's status")
        add_write_tool(
            mcp, self.cancel_group, "Cancel a group", idempotent=True, destructive=True
        )

    async def start_task_group(
        self,
        tasks: Members,
        priority: Priority = None,
        countdown: Countdown = None,
        eta: Eta = None,
        expires: Expires = None,
        queue: Queue = None,
        tags: Tags = None,
        limit: Limit = DEFAULT_ROWS,
    ) -> StartedGroupAnswer:
        """Start several tasks side by side, and follow them as one.

        Every task is checked before the first is sent. Task types that ask for
        confirmation are refused here. Follow the group with get_group_status, or
        with wait_for_changes and the filter {"group": group_id}.
        """
        with convert_to_tool_error():
            require_scope("start", "start_task_group")
            control = require_control(self._control)
            given = remove_unset(priority=priority, countdown=countdown, eta=eta)
            given |= remove_unset(expires=expires, queue=queue, tags=tags)
            options = parse_options(given, time.time())
            sent = await run_shielded(
                control.start_group(self._read_members(tasks), options)
            )
        return _make_started(sent, "group", limit)

    async def start_task_chain(
        self,
        tasks: Members,
        pass_results: Annotated[
            bool,
            Field(
                description="Whether each task gets the result of the one before as "
                "its first argument"
            ),
        ] = False,
        priority: Priority = None,
        countdown: Countdown = None,
        eta: Eta = None,
        queue: Queue = None,
        tags: Tags = None,
        limit: Limit = DEFAULT_ROWS,
    ) -> StartedGroupAnswer:
        """Start tasks one after another: each once the one before has succeeded.

        If one fails, the rest never runs. Countdown and eta are for the first.
        Follow the chain with get_group_status.
        """
        with convert_to_tool_error():
            require_scope("start", "start_task_chain")
            control = require_control(self._control)
            given = remove_unset(priority=priority, countdown=countdown, eta=eta)
            given |= remove_unset(queue=queue, tags=tags)
            options = parse_options(given, time.time())
            order = control.start_chain(
                self._read_members(tasks), options, pass_results=pass_results
            )
            sent = await run_shielded(order)
        return _make_started(sent, "chain", limit)

    def _read_members(self, tasks: Sequence[Mapping[str, Any]]) -> list[MemberSpec]:
        return [
            (name, remove_nulls(self._catalog, name, params))
            for name, params in _parse_members(tasks)
        ]

    async def get_group_status(
        self, group_id: GroupId, limit: Limit = DEFAULT_ROWS, detail: Detail = SHORT
    ) -> GroupStatus:
        """Tell how far a group or chain is: counts, and what failed or still runs.

        Also knows groups that others started, as far as events tell their members.
        """
        with convert_to_tool_error():
            require_scope("read", "get_group_status")
            group_id = validate_task_id(group_id, "group_id")
            found = await self._groups.read_summary(group_id)
            members = await self._groups.read_members(group_id, MAX_MEMBERS)
        return make_group_status(
            group_id,
            found,
            select_members(members, limit, detail),
            self._catalog,
            detail,
        )

    async def cancel_group(
        self, group_id: GroupId, limit: Limit = DEFAULT_ROWS
    ) -> CancelledGroup:
        """Cancel every task of a group or chain that has not ended.

        Waits up to 3 s for workers and tells what came of each; what nobody has
        confirmed by then is kept and told to workers that join.
        """
        with convert_to_tool_error():
            require_scope("cancel", "cancel_group")
            group_id = validate_task_id(group_id, "group_id")
            done = await require_control(self._control).cancel_group(group_id)
            if not done:
                raise InvalidInput(
                    "nothing is known of a group with this id; check that it is "
                    "complete and exact",
                    "group_id",
                )
            found = await self._groups.read_summary(group_id)
        return _make_cancelled(group_id, done, found, limit)


def _parse_members(tasks: Sequence[Mapping[str, Any]]) -> list[MemberSpec]:
    return [_parse_member(number, task) for number, task in enumerate(tasks, 1)]


def _parse_member(number: int, task: Mapping[str, Any]) -> MemberSpec:
    """Return type and params of one member. Raises `InvalidInput`."""
    unknown = sorted(task.keys() - {"task_type", "params"})
    if unknown:
        raise InvalidInput(
            f"task {number}: unknown key {unknown[0]!r}; give task_type and params",
            "tasks",
        )
    task_type: object = task.get("task_type")
    params: object = task.get("params") or {}
    if not isinstance(task_type, str):
        raise InvalidInput(f"task {number}: task_type must be a text", "tasks")
    if not isinstance(params, dict):
        raise InvalidInput(f"task {number}: params must be an object", "tasks")
    return task_type, cast("dict[str, object]", params)


def _make_started(
    sent: orders_.GroupStartResult, what: str, limit: int
) -> StartedGroupAnswer:
    return StartedGroupAnswer(
        group_id=sent.group_id,
        total=len(sent.tasks),
        tasks=[
            StartedTask(
                task_id=one.task_id,
                task_type=one.task_type,
                status="queued",
                estimated_duration=one.estimated_duration,
                queued_at=one.queued_at,
                message="",
            )
            for one in sent.tasks[:limit]
        ],
        queued_at=sent.queued_at,
        message=f"The {what} of {len(sent.tasks)} was sent. get_group_status tells how "
        'far it is; wait_for_changes with {"group": group_id} waits for it.',
    )


def make_group_status(
    group_id: str,
    found: GroupSummary | None,
    tasks: Sequence[TaskView],
    catalog: Catalog,
    detail: DetailLevel = FULL,
) -> GroupStatus:
    """Return a group and some of its `tasks`. Pure."""
    if found is None:
        return _make_unknown(group_id)
    status = "running"
    if found.is_done:
        good = found.counts.get(views.SUCCESS) == found.total
        status = "success" if good else "failure"
    return GroupStatus(
        group_id=group_id,
        status=status,
        done=found.is_done,
        total=found.total,
        whole=found.whole,
        finished=found.over,
        progress=found.percent,
        counts={state.lower(): n for state, n in found.counts.items()},
        tasks=[timeline.make_listed_task(task, catalog, detail) for task in tasks],
        tasks_whole=len(tasks) >= found.heard,
        message=describe_group(found) + _describe_rest(len(tasks), found),
    )


def select_members(
    members: Sequence[TaskView], limit: int, detail: DetailLevel
) -> Sequence[TaskView]:
    """Return up to `limit` members: those first that failed or have not ended. Pure."""
    if detail == SHORT:
        members = sorted(members, key=_rank)
    return members[:limit]


def _rank(task: TaskView) -> int:
    if task.state in FAILED_STATES:
        return 0
    return 2 if task.final else 1


def _describe_rest(shown: int, found: GroupSummary) -> str:
    if shown >= found.heard:
        return ""
    return (
        f" {shown} of {found.heard:,} members are listed; list_tasks with this id as "
        "`group` and a state lists the others."
    )


def _make_unknown(group_id: str) -> GroupStatus:
    return GroupStatus(
        group_id=group_id,
        status="unknown",
        done=False,
        total=0,
        whole=False,
        finished=0,
        counts={},
        tasks=[],
        tasks_whole=False,
        message="Nothing is known of a group with this id; check that it is complete "
        "and exact.",
    )


def _make_cancelled(
    group_id: str,
    done: Sequence[orders_.CancelResult],
    found: GroupSummary | None,
    limit: int,
) -> CancelledGroup:
    outcomes = Counter(one.outcome for one in done)
    # A model looks for what was not cancelled.
    shown = sorted(done, key=lambda one: one.outcome in CANCELLED_OUTCOMES)[:limit]
    return CancelledGroup(
        group_id=group_id,
        outcomes=dict(outcomes),
        tasks=[make_cancelled_task(one) for one in shown],
        tasks_whole=len(done) <= limit,
        whole=found is not None and found.whole,
        message=describe_cancel(outcomes, found),
    )


def make_cancelled_task(done: orders_.CancelResult) -> CancelledTask:
    """Return the result of a cancel as a tool result."""
    return CancelledTask(
        task_id=done.task_id,
        status=done.state.lower(),
        outcome=done.outcome,
        message=done.message,
        canceled_at=done.canceled_at,
    )
