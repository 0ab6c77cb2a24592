"""Calls that fit no tool, answered with a sentence that a model can act on."""

from __future__ import annotations

import logging
from typing import Any

from fastmcp.exceptions import NotFoundError, ToolError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.types import CallToolRequestParams
from pydantic import ValidationError as PydanticError
from pydantic_core import ErrorDetails

from herald_server.catalog_types import closest

EXAMPLES = {
    "params": 'an object of parameters by name, such as {"days": 30}',
    "task_type": "the name of a task type, as list_task_types tells them",
    "task_id": "a task id as start_background_task returned it",
    "timeout_s": "a number of seconds from 0 to 45",
    "confirm": "true or false",
    "group_id": "a group_id as start_task_group or start_task_chain gave it",
    "tasks": 'a list of tasks, each as {"task_type": …, "params": {…}}',
    "pass_results": "true or false",
    "kwargs": 'an object of parameters by name, such as {"days": 30}',
    "filter": 'an object such as {"name": "reports.*", "state": ["FAILURE"]}',
    "cursor": "a cursor as wait_for_changes returned it",
    "newest": "a whole number from 0 to 500",
    "limit": "a whole number from 1 to 200",
    "hours": "a number of hours above 0, up to 744",
    "priority": "a whole number from 0 to 255",
    "countdown": "a number of seconds",
    "eta": "an RFC 3339 time, such as 2026-01-31T12:00:00Z",
    "expires": "a number of seconds or an RFC 3339 time",
    "queue": "the name of a queue",
    "tags": "a list of texts",
    "idempotency_key": "a text of your choice",
}


class Sentences(Middleware):
    """Says what is wrong with a call in sentences, not in pydantic's words."""

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, Any],
    ) -> Any:
        """Call the tool. Raises `ToolError`."""
        try:
            return await call_next(context)
        except NotFoundError as error:
            raise ToolError(
                await _unknown_tool(context), log_level=logging.DEBUG
            ) from error
        except ValidationError as error:
            cause = error.__cause__
            if not isinstance(cause, PydanticError):
                raise
            known = await _arguments(context)
            # A value that fits none of two types is complained of twice.
            told = dict.fromkeys(_sentence(one, known) for one in cause.errors())
            said = "; ".join(told)
            raise ToolError(said, log_level=logging.DEBUG) from error


async def _arguments(context: MiddlewareContext[CallToolRequestParams]) -> list[str]:
    assert context.fastmcp_context is not None
    tool = await context.fastmcp_context.fastmcp.get_tool(context.message.name)
    return list(tool.parameters.get("properties", {})) if tool else []


async def _unknown_tool(context: MiddlewareContext[CallToolRequestParams]) -> str:
    assert context.fastmcp_context is not None
    tools = await context.fastmcp_context.fastmcp.list_tools()
    names = [tool.name for tool in tools]
    asked = context.message.name[:60]
    # Half a name first: a tool that sounds alike may do something else.
    meant = [name for name in names if asked and name.startswith(asked)] or names
    return (
        f"unknown tool {asked!r}{closest(asked, meant)}; available: {', '.join(names)}"
    )


def _sentence(error: ErrorDetails, known: list[str]) -> str:
    """Say what is wrong with one argument, and what it takes."""
    name = str(error["loc"][0]) if error["loc"] else "the arguments"
    takes = f"it takes: {', '.join(known)}"
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown argument {name[:60]!r}{closest(name, known)}; {takes}"
    expected = EXAMPLES.get(name) or error["msg"].removeprefix("Input should be ")
    if error["type"] in ("missing", "missing_argument"):
        return f"{name} is missing: give {expected}; {takes}"
    return f"{name} must be {expected}"
