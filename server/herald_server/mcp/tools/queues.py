"""The tool `list_queues`."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.filters import parse_filter
from herald_core.model.patterns import compile_glob
from herald_core.store.ports import TaskReader
from herald_server.insight import queues
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.answers.short import SHORT, DetailLevel, cut_time
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.queues import ListedQueues, QueueState
from herald_server.mcp.parameters import (
    Detail,
    Limit,
    NextPage,
    add_read_tool,
    remove_unset,
)

MAX_CONSUMERS = 5
"""Consumers of a queue that a list names."""


class QueueTools:
    """The tool `list_queues`."""

    def __init__(self, reader: TaskReader) -> None:
        self._reader = reader

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_read_tool(mcp, self.list_queues, "List queues")

    async def list_queues(
        self,
        queue: Annotated[
            str | list[str] | None,
            Field(description="Only these queues; * and ? are wild"),
        ] = None,
        limit: Limit = DEFAULT_ROWS,
        page: NextPage = None,
        detail: Detail = SHORT,
    ) -> ListedQueues:
        """List the queues: tasks that wait, how long the oldest does, who takes them.

        Use it when tasks do not start: a queue without a consumer is listed first.
        Measured every 10 s; why one task waits is told by explain_task.
        """
        with convert_to_tool_error():
            require_scope("read", "list_queues")
            wanted = parse_filter(remove_unset(queue=queue)).queue
            found = [
                one
                for one in await self._reader.list_queues()
                if wanted is None
                or any(compile_glob(name)(one.name) for name in wanted)
            ]
            listed, next_page = cut_page(queues.sort_worst_first(found), limit, page)
        now = time.time()
        return ListedQueues(
            total=len(found),
            queues=[_make_queue(queues.to_view(one, now), detail) for one in listed],
            next=next_page,
            message=queues.describe_unconsumed(found)
            if found
            else "No such queue was measured yet.",
        )


def _make_queue(view: dict[str, Any], detail: DetailLevel) -> QueueState:
    state = QueueState(**view)
    if detail != SHORT:
        return state
    names = state.consumers
    return state.model_copy(
        update={
            "as_of": cut_time(state.as_of),
            "consumers": names if names is None else names[:MAX_CONSUMERS],
            "consumers_total": names if names is None else len(names),
            "silent_consumers": state.silent_consumers[:MAX_CONSUMERS],
        }
    )
