"""The tools `explain_task` and `retry_task`."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult
from pydantic import Field

from herald_core.store.ports import Store
from herald_server.control.control import Control, StartResult
from herald_server.control.start.send_options import parse_options
from herald_server.diagnosis.explain import TaskDiagnoser
from herald_server.insight.stats.durations import RuntimeEstimator
from herald_server.mcp.answers import presenters
from herald_server.mcp.answers.listing import validate_task_id
from herald_server.mcp.elicitation import start_with_consent
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.history import Explanation
from herald_server.mcp.models.tasks import StartedTask
from herald_server.mcp.parameters import (
    Confirm,
    Countdown,
    Eta,
    Expires,
    Priority,
    Queue,
    TaskId,
    add_read_tool,
    add_write_tool,
    remove_unset,
)
from herald_server.mcp.start import make_started_answer, require_control, run_shielded


class DiagnosisTools:
    """The tools `explain_task` and `retry_task`."""

    def __init__(
        self, store: Store, control: Control | None, durations: RuntimeEstimator
    ) -> None:
        self._store = store
        self._control = control
        self._diagnoser = TaskDiagnoser(store, control, durations)

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_read_tool(mcp, self.explain_task, "Explain a task")
        add_write_tool(mcp, self.retry_task, "Retry a task", idempotent=False)

    async def explain_task(self, task_id: TaskId) -> Explanation:
        """Say why a task has not started or ended yet, and what to do about it.

        Looks at what is stored and asks the workers for at most 5 s: no worker on
        its queue, a time ahead, received by a busy worker, rate limits, a silent
        worker, revoked, expired, waiting for a retry or for the step before it.
        """
        with convert_to_tool_error():
            require_scope("read", "explain_task")
            facts, found = await self._diagnoser(validate_task_id(task_id))
        task = facts.task
        return Explanation(
            task_id=task.id,
            status=presenters.get_status(task),
            reason=found.reason,
            message=found.message,
            advice=found.advice,
            queue=task.queue,
            worker=task.worker,
            workers_asked=len(facts.answers.answered),
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
        confirm: Confirm = False,
    ) -> StartedTask | InputRequiredResult:
        """Send a task that is over once more, as a new task with an id of its own.

        With its own arguments if they are known whole and held no secrets, else
        with those in kwargs. Its tag retry_of:ID and parent_id name the old one.
        """
        with convert_to_tool_error():
            require_scope("start", "retry_task")
            control = require_control(self._control)
            given = remove_unset(priority=priority, countdown=countdown, eta=eta)
            given |= remove_unset(expires=expires, queue=queue)
            options = parse_options(given, time.time())
            task_id = validate_task_id(task_id)

            async def retry(ticket: str | None) -> StartResult:
                order = control.retry(task_id, kwargs, options, ticket=ticket)
                return await run_shielded(order)

            policy = control.consents.policy
            started = await start_with_consent(ctx, retry, confirm, policy)
        return (
            started
            if isinstance(started, InputRequiredResult)
            else make_started_answer(started)
        )
