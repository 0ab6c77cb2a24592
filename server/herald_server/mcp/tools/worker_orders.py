"""Tools that describe a worker, give it orders, and pause queues."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastmcp import FastMCP
from pydantic import Field

from herald_core.errors import HeraldError
from herald_core.model.orders import Order
from herald_server.api.actions import NO_BROKER
from herald_server.api.context import ServerContext
from herald_server.auth.identity import ScopedTokenRefused
from herald_server.control.workers.commands import parse_command
from herald_server.control.workers.service import WorkerControl
from herald_server.insight.workers.history import Span, parse_moment, read_history
from herald_server.insight.workers.state_log import StateLog
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.input_schemas import COMMAND_PARAMS
from herald_server.mcp.models.worker_orders import OrderAnswer, WorkerProfile
from herald_server.mcp.parameters import add_read_tool, add_write_tool, remove_unset

WAIT_S = 30.0
"""Seconds to wait for the outcome of an order."""

WorkerName = Annotated[str, Field(description="A hostname as list_workers returned it")]
QueueName = Annotated[str, Field(description="A queue as list_queues returned it")]


class WorkerControlTools:
    """The tools `get_worker`, `order_worker`, `pause_queue` and `resume_queue`."""

    def __init__(self, shared: ServerContext) -> None:
        self._store = shared.store
        self._control = shared.worker_control

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_read_tool(mcp, self.get_worker, "Describe a worker")
        add_write_tool(
            mcp, self.order_worker, "Order a worker", idempotent=False, destructive=True
        )
        add_write_tool(
            mcp, self.pause_queue, "Pause a queue", idempotent=True, destructive=True
        )
        add_write_tool(mcp, self.resume_queue, "Resume a queue", idempotent=True)

    async def get_worker(
        self,
        worker: WorkerName,
        at: Annotated[
            str | None,
            Field(description="RFC 3339, or 02:13 in UTC: tell what it did then too"),
        ] = None,
        window_s: Annotated[
            float, Field(ge=1, le=86_400, description="Length of that time, around it")
        ] = 60.0,
    ) -> WorkerProfile:
        """Ask a worker about itself, and tell what it did at a time.

        It answers what it runs, holds and consumes within seconds, or not at all: a
        solo worker answers between its tasks.
        """
        with convert_to_tool_error():
            self._require("read", "get_worker")
            found = await self._get_control().describe(worker)
            asked: dict[str, Any] = found.pop("asked")
            history = None
            if at is not None:
                middle = parse_moment(at, time.time())
                span = Span(middle - window_s / 2, middle + window_s / 2)
                history = await read_history(
                    self._store, StateLog(self._store), worker, span
                )
        return WorkerProfile(
            worker=found,
            unanswered=asked["unanswered"],
            history=msgspec.to_builtins(history),
            message=asked["message"],
        )

    async def order_worker(
        self,
        worker: WorkerName,
        command: Annotated[
            str,
            Field(
                description="pool_grow or pool_shrink {n}; autoscale {max, min}; "
                "add_consumer or cancel_consumer {queue}; rate_limit {task_name, "
                "rate_limit}; time_limit {task_name, soft, hard}; enable_events; "
                "disable_events; shutdown; pool_restart"
            ),
        ],
        params: Annotated[
            dict[str, Any] | None,
            Field(
                json_schema_extra=COMMAND_PARAMS,
                description="Its parameters, as named there",
            ),
        ] = None,
    ) -> OrderAnswer:
        """Order a worker, and verify by asking it again what came of it.

        A worker may refuse a command, or accept and ignore it: see `state`.
        """
        with convert_to_tool_error():
            self._require("admin", "order_worker")
            control = self._get_control()
            control.orders.require_enabled()
            parsed = parse_command(command, remove_unset(**(params or {})))
            return _make_answer(await control.orders.give(worker, parsed, WAIT_S))

    async def pause_queue(self, queue: QueueName) -> OrderAnswer:
        """Let no worker take tasks from a queue, until resume_queue.

        Its messages wait; workers that join obey too. Running tasks go on.
        """
        with convert_to_tool_error():
            self._require("admin", "pause_queue")
            return _make_answer(await self._get_control().pauses.pause(queue))

    async def resume_queue(self, queue: QueueName) -> OrderAnswer:
        """Let workers take tasks from a paused queue again, as before."""
        with convert_to_tool_error():
            self._require("admin", "resume_queue")
            return _make_answer(await self._get_control().pauses.resume(queue))

    def _require(self, scope: str, what: str) -> None:
        if require_scope(scope, what).task_filter is not None:
            raise ScopedTokenRefused(what)

    def _get_control(self) -> WorkerControl:
        if self._control is None:
            raise HeraldError(NO_BROKER)
        return self._control


def _make_answer(order: Order) -> OrderAnswer:
    return OrderAnswer(order_id=order.id, state=order.state, message=order.message)
