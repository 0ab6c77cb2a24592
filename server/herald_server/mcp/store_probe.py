"""Refuse a call at once while the store does not answer.

The store's own timeouts and retries add up to 15 s, and a tool that waits has its own
time beside them: more than many clients wait for an answer.
"""

from __future__ import annotations

import logging
from typing import Any

import anyio
from fastmcp.exceptions import ResourceError, ToolError
from fastmcp.resources import ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.types import CallToolRequestParams, ReadResourceRequestParams

from herald_core.errors import StoreError
from herald_core.store.ports import ChangeLog

PROBE_TIMEOUT_S = 4.0

NO_ANSWER = (
    f"Herald's store did not answer within {PROBE_TIMEOUT_S:.0f} s, so nothing was "
    "read and nothing was done. Call again in some seconds; if it stays so, the "
    "operator must look at the Redis or Valkey of Herald."
)


class StoreProbe(Middleware):
    """Asks the store for its position before each call: one round trip."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, Any],
    ) -> Any:
        """Call the tool. Raises `ToolError`."""
        if problem := await self._probe():
            raise ToolError(problem, log_level=logging.DEBUG)
        return await call_next(context)

    async def on_read_resource(
        self,
        context: MiddlewareContext[ReadResourceRequestParams],
        call_next: CallNext[ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read the resource. Raises `ResourceError`."""
        if problem := await self._probe():
            raise ResourceError(problem, log_level=logging.DEBUG)
        return await call_next(context)

    async def _probe(self) -> str:
        """Return why the store cannot be used; empty if it can."""
        try:
            with anyio.fail_after(PROBE_TIMEOUT_S):
                await self._log.read_end()
        except TimeoutError:
            return NO_ANSWER
        except StoreError as error:
            return str(error)
        return ""
