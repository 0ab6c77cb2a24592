"""Starting a task: known, allowed, correct, confirmed, and then sent for good."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
from fastmcp import Context
from mcp.types import InputRequiredResult

from herald_monitor.errors import HeraldError
from herald_server.control import Control, Started
from herald_server.mcp.access import demand
from herald_server.mcp.answers import StartedTask
from herald_server.mcp.confirming import with_consent
from herald_server.options import Options

T = TypeVar("T")


class NoBroker(HeraldError):
    """This server cannot send anything."""


class Starting:
    """Starts a task type once it is known, allowed, correct and confirmed."""

    def __init__(self, control: Control | None) -> None:
        self._control = control

    async def __call__(
        self,
        ctx: Context,
        task_type: str,
        params: dict[str, Any],
        confirm: bool,
        options: Options = Options(),  # noqa: B008 - frozen
        key: str | None = None,
    ) -> Started | InputRequiredResult:
        """Start it, or return what asks a person first. Raises `HeraldError`."""
        who = demand("start", "start_background_task")
        control = orders(self._control)

        async def start(ticket: str | None) -> Started:
            return await shielded(
                control.start(
                    task_type, params, options, key=key, who=who.name, ticket=ticket
                )
            )

        return await with_consent(ctx, start, confirm, control.consents.policy)


async def shielded(order: Coroutine[Any, Any, T]) -> T:
    """Give an order whether or not the client stays.

    One that leaves must not leave a task behind that was registered and never sent.
    """
    with anyio.CancelScope(shield=True):
        return await order
    raise AssertionError  # a scope that is shielded is never left early


def orders(control: Control | None) -> Control:
    """Return what sends to Celery. Raises `NoBroker`."""
    if control is None:
        raise NoBroker(
            "this server knows no broker to send to; set HERALD_BROKER_URL and "
            "start it again"
        )
    return control


def queued(started: Started) -> StartedTask:
    """Return a task that was sent as the tools answer it."""
    return StartedTask(
        task_id=started.task_id,
        task_type=started.task_type,
        status=started.status,
        estimated_duration=started.estimated_duration,
        queued_at=started.queued_at,
        message=_say_started(started),
        repeated=started.repeated,
    )


def _say_started(started: Started) -> str:
    """Return what was started, how long it takes and what to do, as sentences."""
    if started.status != "queued":
        return (
            f"It was started before with this key, and ended as {started.status}; "
            "nothing was sent. get_task_status tells its result or error."
        )
    said = "It was started before with this key" if started.repeated else "Task queued"
    if started.eta and not started.repeated:
        said += f"; it is scheduled for {started.eta}"
    if started.estimated_duration not in ("", "unknown"):
        said += f"; it usually takes {started.estimated_duration}"
    return (
        f"{said}. Call wait_for_task with this task_id: it answers once the task ends. "
        "If it does not start, explain_task says what it waits for."
    )
