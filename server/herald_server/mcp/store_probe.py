"""End calls soon while the store does not answer.

The store's own timeouts and retries add up to 15 s, and a tool that waits has its own
time beside them: more than many clients wait for an answer. The log reader hears from
a healthy store at least every 1.5 s, so that such a store is asked nothing here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from fastmcp.exceptions import ResourceError, ToolError
from fastmcp.resources import ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.types import CallToolRequestParams, ReadResourceRequestParams

from herald_core.errors import StoreError
from herald_core.store.ports import ChangeLog
from herald_server.push.log.log_reader import LogReader

T = TypeVar("T")

ANSWER_TIMEOUT_S = 4.0
"""Seconds in which the store must answer."""

QUIET_AFTER_S = 2.0
"""Those of them in which the log reader is to hear of it, whose reads last up to 1.5 s.
In the rest it is asked for a sign of life."""

SILENCE = f"Herald's store did not answer within {ANSWER_TIMEOUT_S:.0f} s, so "
ADVICE = (
    "Call again in some seconds; if it stays so, the operator must look at the Redis "
    "or Valkey of Herald."
)
NOTHING_DONE = f"{SILENCE}nothing was read and nothing was done. {ADVICE}"
GIVEN_UP = (
    f"{SILENCE}the call was given up. If it was to change something, it is not known "
    "whether it did: look before you repeat it, or repeat it with the same "
    f"idempotency_key. {ADVICE}"
)


class StoreSilent(StoreError):
    """The store did not answer in time."""


class StoreProbe(Middleware):
    """Ends the calls that `store` does not answer, by what `reader` hears of it."""

    def __init__(self, store: ChangeLog, reader: LogReader) -> None:
        self._store = store
        self._reader = reader

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, Any],
    ) -> Any:
        """Call the tool. Raises `ToolError`."""
        try:
            return await self._run(lambda: call_next(context))
        except StoreError as error:
            raise ToolError(str(error), log_level=logging.DEBUG) from None

    async def on_read_resource(
        self,
        context: MiddlewareContext[ReadResourceRequestParams],
        call_next: CallNext[ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read the resource. Raises `ResourceError`."""
        try:
            return await self._run(lambda: call_next(context))
        except StoreError as error:
            raise ResourceError(str(error), log_level=logging.DEBUG) from None

    async def _run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` returns. Raises `StoreError`."""
        if self._reader.problem:
            await self._ask(ANSWER_TIMEOUT_S, NOTHING_DONE)
            return await call()
        with anyio.CancelScope() as scope:
            watch = asyncio.create_task(self._cancel_if_silent(scope))
            try:
                return await call()
            finally:
                watch.cancel()
        raise StoreSilent(GIVEN_UP)

    async def _cancel_if_silent(self, scope: anyio.CancelScope) -> None:
        """Cancel `scope` unless the store answers anything from now on, in time.

        A store that falls silent later does so while a tool waits without it, or its
        own timeout ends the call.
        """
        began = time.monotonic()
        await asyncio.sleep(QUIET_AFTER_S)
        if self._reader.answered_at > began:
            return
        try:
            await self._ask(ANSWER_TIMEOUT_S - QUIET_AFTER_S, GIVEN_UP)
        except StoreError:
            scope.cancel()

    async def _ask(self, timeout_s: float, message: str) -> None:
        """Ask for the end of the log. Raises `StoreError`, with `message` if no answer
        comes within `timeout_s`."""
        try:
            with anyio.fail_after(timeout_s):
                await self._store.read_end()
        except TimeoutError:
            raise StoreSilent(message) from None
