"""The tools for groups and chains: many tasks as one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from fastmcp import FastMCP
from pydantic import Field

from herald_monitor.errors import BadInput
from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_server import control as orders_
from herald_server.catalog import Catalog
from herald_server.control import Control
from herald_server.group_reader import GroupReader, GroupSummary
from herald_server.group_sentences import cancel_sentence, group_sentence
from herald_server.grouping import MOST, Item
from herald_server.mcp import story
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.active import checked_id
from herald_server.mcp.answers import CancelledTask, StartedTask
from herald_server.mcp.answers_more import CancelledGroup, GroupStatus, StartedGroup
from herald_server.mcp.arguments import (
    Countdown,
    Eta,
    Expires,
    GroupId,
    Priority,
    Queue,
    Tags,
    add_doing,
    add_reading,
    flat,
)
from herald_server.mcp.starting import orders, shielded
from herald_server.options import parse_options

SHOWN = 100
SHOWN_CANCELLED = 500
"""Members that are told one by one."""

Members = Annotated[
    list[dict[str, Any]],
    Field(
        description='The tasks, at most 500, each as {"task_type": …, "params": {…}}'
    ),
]


class Groups:
    """The tools that start, show and cancel groups and chains."""

    def __init__(
        self, groups: GroupReader, control: Control | None, catalog: Catalog
    ) -> None:
        self._groups = groups
        self._control = control
        self._catalog = catalog

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_doing(mcp, self.start_task_group, "Start a group", idempotent=False)
        add_doing(mcp, self.start_task_chain, "Start a chain", idempotent=False)
        add_reading(mcp, self.get_group_status, "Get a group's status")
        add_doing(mcp, self.cancel_group, "Cancel a group", idempotent=True)

    async def start_task_group(
        self,
        tasks: Members,
        priority: Priority = None,
        countdown: Countdown = None,
        eta: Eta = None,
        expires: Expires = None,
        queue: Queue = None,
        tags: Tags = None,
    ) -> StartedGroup:
        """Start several tasks side by side, and follow them as one.

        Every task is checked before the first is sent. Task types that ask for
        confirmation are refused here. Follow the group with get_group_status, or
        with wait_for_changes and the filter {"group": group_id}.
        """
        with refusing():
            demand("start", "start_task_group")
            control = orders(self._control)
            given = flat(priority=priority, countdown=countdown, eta=eta)
            given |= flat(expires=expires, queue=queue, tags=tags)
            options = parse_options(given, time.time())
            sent = await shielded(control.start_group(_items(tasks), options))
        return _started(sent, "group")

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
    ) -> StartedGroup:
        """Start tasks one after another: each once the one before has succeeded.

        If one fails, the rest never runs. Countdown and eta are for the first.
        Follow the chain with get_group_status.
        """
        with refusing():
            demand("start", "start_task_chain")
            control = orders(self._control)
            given = flat(priority=priority, countdown=countdown, eta=eta)
            given |= flat(queue=queue, tags=tags)
            options = parse_options(given, time.time())
            order = control.start_chain(
                _items(tasks), options, pass_results=pass_results
            )
            sent = await shielded(order)
        return _started(sent, "chain")

    async def get_group_status(self, group_id: GroupId) -> GroupStatus:
        """Tell how far a group or chain is: counts, progress, and each member.

        Also knows groups that others started, as far as events tell their members.
        """
        with refusing():
            demand("read", "get_group_status")
            group_id = checked_id(group_id, "group_id")
            found = await self._groups.summary(group_id)
            members = await self._groups.members(group_id, MOST)
        return status_of(group_id, found, members[:SHOWN], self._catalog)

    async def cancel_group(self, group_id: GroupId) -> CancelledGroup:
        """Cancel every task of a group or chain that has not ended.

        Waits up to 3 s for workers and tells what came of each; what nobody has
        confirmed by then is kept and told to workers that join.
        """
        with refusing():
            demand("cancel", "cancel_group")
            group_id = checked_id(group_id, "group_id")
            done = await orders(self._control).cancel_group(group_id)
            if not done:
                raise BadInput(
                    "nothing is known of a group with this id; check that it is "
                    "complete and exact",
                    "group_id",
                )
            found = await self._groups.summary(group_id)
        return _cancelled(group_id, done, found)


def _items(tasks: Sequence[Mapping[str, Any]]) -> list[Item]:
    return [_item(number, task) for number, task in enumerate(tasks, 1)]


def _item(number: int, task: Mapping[str, Any]) -> Item:
    """Return type and params of one member. Raises `BadInput`."""
    unknown = sorted(task.keys() - {"task_type", "params"})
    if unknown:
        raise BadInput(
            f"task {number}: unknown key {unknown[0]!r}; give task_type and params",
            "tasks",
        )
    task_type: object = task.get("task_type")
    params: object = task.get("params") or {}
    if not isinstance(task_type, str):
        raise BadInput(f"task {number}: task_type must be a text", "tasks")
    if not isinstance(params, dict):
        raise BadInput(f"task {number}: params must be an object", "tasks")
    return task_type, cast("dict[str, object]", params)


def _started(sent: orders_.StartedGroup, what: str) -> StartedGroup:
    return StartedGroup(
        group_id=sent.group_id,
        tasks=[
            StartedTask(
                task_id=one.task_id,
                task_type=one.task_type,
                status="queued",
                estimated_duration=one.estimated_duration,
                queued_at=one.queued_at,
                message="",
            )
            for one in sent.tasks
        ],
        queued_at=sent.queued_at,
        message=f"The {what} of {len(sent.tasks)} was sent. get_group_status tells how "
        'far it is; wait_for_changes with {"group": group_id} waits for it.',
    )


def status_of(
    group_id: str,
    found: GroupSummary | None,
    tasks: Sequence[TaskImage],
    catalog: Catalog,
) -> GroupStatus:
    """Return a group and some of its `tasks`. Pure."""
    if found is None:
        return _unknown(group_id)
    status = "running"
    if found.done:
        good = found.counts.get(shape.SUCCESS) == found.total
        status = "success" if good else "failure"
    return GroupStatus(
        group_id=group_id,
        status=status,
        done=found.done,
        total=found.total,
        whole=found.whole,
        finished=found.over,
        progress=found.percent,
        counts={state.lower(): n for state, n in found.counts.items()},
        tasks=[story.listed(task, catalog) for task in tasks],
        tasks_whole=len(tasks) >= found.heard,
        message=group_sentence(found),
    )


def _unknown(group_id: str) -> GroupStatus:
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


def _cancelled(
    group_id: str, done: Sequence[orders_.Cancelled], found: GroupSummary | None
) -> CancelledGroup:
    outcomes = Counter(one.outcome for one in done)
    return CancelledGroup(
        group_id=group_id,
        outcomes=dict(outcomes),
        tasks=[shown(one) for one in done[:SHOWN_CANCELLED]],
        tasks_whole=len(done) <= SHOWN_CANCELLED,
        whole=found is not None and found.whole,
        message=cancel_sentence(outcomes, found),
    )


def shown(done: orders_.Cancelled) -> CancelledTask:
    """Return what came of a cancel as the tools answer it."""
    return CancelledTask(
        task_id=done.task_id,
        status=done.state.lower(),
        outcome=done.outcome,
        message=done.message,
        canceled_at=done.canceled_at,
    )
