"""The tools about what does not get on: why, and once more."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult
from pydantic import Field

from herald_monitor.store import Store
from herald_server.control import Control, Started
from herald_server.durations import Durations
from herald_server.explaining import Explaining
from herald_server.mcp import describing
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.active import checked_id
from herald_server.mcp.answers import StartedTask
from herald_server.mcp.answers_more import Explanation
from herald_server.mcp.arguments import (
    Countdown,
    Eta,
    Expires,
    Priority,
    Queue,
    TaskId,
    add_doing,
    add_reading,
    flat,
)
from herald_server.mcp.confirming import with_consent
from herald_server.mcp.starting import orders, queued, shielded
from herald_server.options import parse_options


class Mending:
    """The tools `explain_task` and `retry_task`."""

    def __init__(
        self, store: Store, control: Control | None, durations: Durations
    ) -> None:
        self._store = store
        self._control = control
        self._explaining = Explaining(store, control, durations)

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_reading(mcp, self.explain_task, "Explain a task")
        add_doing(mcp, self.retry_task, "Retry a task", idempotent=False)

    async def explain_task(self, task_id: TaskId) -> Explanation:
        """Say why a task has not started or ended yet, and what to do about it.

        Looks at what is stored and asks the workers for at most 5 s: no worker on
        its queue, a time ahead, received by a busy worker, rate limits, a silent
        worker, revoked, expired, waiting for a retry or for the step before it.
        """
        with refusing():
            demand("read", "explain_task")
            facts, found = await self._explaining(checked_id(task_id))
        task = facts.task
        return Explanation(
            task_id=task.id,
            status=describing.status_of(task),
            reason=found.reason,
            message=found.message,
            advice=found.advice,
            queue=task.queue,
            worker=task.worker,
            workers_asked=len(facts.asked.answered),
            as_of=task.as_of,
        )

    async def retry_task(
        self,
        ctx: Context,
        task_id: TaskId,
        kwargs: Annotated[
            dict[str, Any] | None,
            Field(
                description="All its parameters, to run it with others; leave out to "
                "run it with the same"
            ),
        ] = None,
        priority: Priority = None,
        countdown: Countdown = None,
        eta: Eta = None,
        expires: Expires = None,
        queue: Queue = None,
        confirm: Annotated[
            bool,
            Field(
                description="Whether your user agreed, for task types that ask for "
                "confirmation"
            ),
        ] = False,
    ) -> StartedTask | InputRequiredResult:
        """Send a task that is over once more, as a new task with an id of its own.

        With its own arguments if they are known whole and held no secrets, else
        with those in kwargs. Its tag retry_of:ID and parent_id name the old one.
        """
        with refusing():
            demand("start", "retry_task")
            control = orders(self._control)
            given = flat(priority=priority, countdown=countdown, eta=eta)
            given |= flat(expires=expires, queue=queue)
            options = parse_options(given, time.time())
            task_id = checked_id(task_id)

            async def retry(ticket: str | None) -> Started:
                order = control.retry(task_id, kwargs, options, ticket=ticket)
                return await shielded(order)

            policy = control.consents.policy
            started = await with_consent(ctx, retry, confirm, policy)
        return started if isinstance(started, InputRequiredResult) else queued(started)
