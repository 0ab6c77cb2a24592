"""Start a task: validate, confirm, and publish without interruption."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import anyio
from fastmcp import Context
from mcp.types import InputRequiredResult

from herald_core.errors import HeraldError
from herald_server.catalog.catalog import Catalog
from herald_server.control.control import Control, StartResult
from herald_server.control.start.send_options import SendOptions
from herald_server.mcp.elicitation import start_with_consent
from herald_server.mcp.http.auth import require_scope
from herald_server.mcp.models.tasks import StartedTask

T = TypeVar("T")


class BrokerNotConfigured(HeraldError):
    """No broker is configured, so nothing can be published."""


class TaskStarter:
    """Starts a task type after validation and confirmation."""

    def __init__(self, control: Control | None) -> None:
        self._control = control

    async def __call__(
        self,
        ctx: Context,
        task_type: str,
        params: dict[str, Any],
        confirm: bool,
        options: SendOptions = SendOptions(),  # noqa: B008 - frozen
        key: str | None = None,
    ) -> StartResult | InputRequiredResult:
        """Start it, or return the question for the user. Raises `HeraldError`."""
        who = require_scope("start", "start_background_task")
        control = require_control(self._control)
        params = remove_nulls(control.catalog, task_type, params)

        async def start(ticket: str | None) -> StartResult:
            return await run_shielded(
                control.start(
                    task_type, params, options, key=key, who=who.name, ticket=ticket
                )
            )

        return await start_with_consent(ctx, start, confirm, control.consents.policy)


def remove_nulls(
    catalog: Catalog, task_type: str, params: Mapping[str, object]
) -> dict[str, object]:
    """Return `params` without the nulls that models give for defaults."""
    kind = next((one for one in catalog if one.name == task_type), None)
    return dict(params) if kind is None else kind.remove_nulls(params)


async def run_shielded(order: Coroutine[Any, Any, T]) -> T:
    """Await `order` even if the client disconnects.

    A registered task must be published or withdrawn.
    """
    with anyio.CancelScope(shield=True):
        return await order
    raise AssertionError  # a scope that is shielded is never left early


def require_control(control: Control | None) -> Control:
    """Return the publisher of tasks. Raises `BrokerNotConfigured`."""
    if control is None:
        raise BrokerNotConfigured(
            "this server knows no broker to send to; set HERALD_BROKER_URL and "
            "start it again"
        )
    return control


def make_started_answer(started: StartResult) -> StartedTask:
    """Return a started task as a tool result."""
    return StartedTask(
        task_id=started.task_id,
        task_type=started.task_type,
        status=started.status,
        estimated_duration=started.estimated_duration,
        queued_at=started.queued_at,
        message=_describe_started(started),
        repeated=started.repeated,
        eta=started.eta,
        queue=started.queue,
        tags=list(started.tags),
    )


def _describe_started(started: StartResult) -> str:
    """Return a message about the started task: its duration and what to do next."""
    if started.status != "queued":
        return (
            f"It was started before with this key, and ended as {started.status}; "
            "nothing was sent. get_task_status returns its result or error."
        )
    message = "Task queued"
    if started.repeated:
        message = "It was started before with this key"
    if started.eta and not started.repeated:
        message += f"; it is scheduled for {started.eta}"
    if started.estimated_duration not in ("", "unknown"):
        message += f"; it usually takes {started.estimated_duration}"
    return (
        f"{message}. Call wait_for_task with this task_id: it answers once the task "
        "ends. If it does not start, explain_task says what it waits for."
    )
