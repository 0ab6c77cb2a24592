"""Error messages for invalid tool calls that a model can act on."""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import Any

from fastmcp.exceptions import NotFoundError, ToolError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.types import CallToolRequestParams
from pydantic import ValidationError as PydanticError
from pydantic_core import ErrorDetails

from herald_server.catalog.catalog import Catalog
from herald_server.catalog.types import suggest_name

EXAMPLES = {
    "params": 'an object of parameters by name, such as {"days": 30}',
    "task_type": "the name of a task type, as list_task_types returns them",
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
    "limit": "a whole number from 1 to the most that its description says",
    "page": "`next` of the answer before",
    "detail": "short or full",
    "most": "a whole number of characters, up to 65,536",
    "offset": "a whole number of characters from 0",
    "path": "a JSON Pointer such as /rows/0/name",
    "hours": "a number of hours above 0, up to 744",
    "priority": "a whole number from 0 to 255",
    "countdown": "a number of seconds",
    "eta": "an RFC 3339 time, such as 2026-01-31T12:00:00Z",
    "expires": "a number of seconds or an RFC 3339 time",
    "queue": "the name of a queue",
    "tags": "a list of texts",
    "idempotency_key": "a text of your choice",
    "expect": "the count of prepare_bulk_order, a whole number",
    "query": "a text such as failed name:reports.*",
    "ids": "a list of task ids",
    "order_id": "an order_id as list_orders returned it",
    "expect_depth": "the number of messages that wait in the queue, a whole number",
    "per_second": "a number of tasks a second",
    "include_rerun": "true or false",
    "schedule": "the id or name of a schedule, as list_schedules returned it",
    "worker": "a hostname as list_workers returned it",
    "command": "a command such as pool_grow",
}


UNKNOWN_ARGUMENT = ("unexpected_keyword_argument", "extra_forbidden")


class ErrorMessages(Middleware):
    """Describes invalid calls in Herald's terms instead of pydantic's."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

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
                await _describe_unknown_tool(context), log_level=logging.DEBUG
            ) from error
        except ValidationError as error:
            cause = error.__cause__
            if not isinstance(cause, PydanticError):
                raise
            known = await _list_arguments(context)
            # A value that matches none of two types causes two errors.
            problems = dict.fromkeys(
                self._describe_param(one, context.message)
                or _describe_problem(one, known)
                for one in cause.errors()
            )
            message = "; ".join(problems)
            raise ToolError(message, log_level=logging.DEBUG) from error

    def _describe_param(self, error: ErrorDetails, asked: CallToolRequestParams) -> str:
        """Return that an unknown argument is a parameter of the task; empty if not."""
        given = asked.arguments or {}
        kind_name, name = given.get("task_type"), str(next(iter(error["loc"]), ""))
        if error["type"] not in UNKNOWN_ARGUMENT:
            return ""
        kind = next((one for one in self._catalog if one.name == kind_name), None)
        if kind is None or name not in [param.name for param in kind.params]:
            return ""
        return (
            f"{name} is a parameter of {kind.name}: it belongs into params, as "
            f'{{"task_type": "{kind.name}", "params": {{"{name}": …}}}}'
        )


async def _list_arguments(
    context: MiddlewareContext[CallToolRequestParams],
) -> list[str]:
    assert context.fastmcp_context is not None
    tool = await context.fastmcp_context.fastmcp.get_tool(context.message.name)
    return list(tool.parameters.get("properties", {})) if tool else []


async def _describe_unknown_tool(
    context: MiddlewareContext[CallToolRequestParams],
) -> str:
    assert context.fastmcp_context is not None
    tools = await context.fastmcp_context.fastmcp.list_tools()
    names = [tool.name for tool in tools]
    asked = context.message.name[:60]
    # A part of a name first: a tool with a similar name may do something else.
    meant = [name for name in names if asked and name.startswith(asked)] or names
    meant_name = suggest_name(asked, meant)
    return f"unknown tool {asked!r}{meant_name}; available: {', '.join(names)}"


def _describe_problem(error: ErrorDetails, known: list[str]) -> str:
    """Return what is wrong with one argument, and what is valid."""
    name = str(error["loc"][0]) if error["loc"] else "the arguments"
    takes = f"it takes: {', '.join(known)}" if known else "it takes no arguments"
    if error["type"] in UNKNOWN_ARGUMENT:
        if "task_type" in known and "params" in known:
            takes += "; the parameters of the task itself belong into params"
            # countdown is no remedy for seconds, which is far from it.
            close = get_close_matches(name, known, n=1, cutoff=0.75)
            return f"unknown argument {name[:60]!r}{suggest_name(name, close)}; {takes}"
        return f"unknown argument {name[:60]!r}{suggest_name(name, known)}; {takes}"
    expected = EXAMPLES.get(name)
    if error["type"] in ("missing", "missing_argument"):
        example = f": give {expected}" if expected else ""
        return f"{name} is missing{example}; {takes}"
    return f"{name} must be {expected or error['msg'].removeprefix('Input should be ')}"
