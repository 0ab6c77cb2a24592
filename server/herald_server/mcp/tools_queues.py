"""The tool about queues: how many tasks wait in each, and who takes them."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_monitor.model.filters import parse_filter
from herald_monitor.model.patterns import glob
from herald_monitor.store import Reader
from herald_server import queues
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.answers_more import ListedQueues, QueueState
from herald_server.mcp.arguments import add_reading, flat

SHOWN = 100


class Queues:
    """The tool `list_queues`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_reading(mcp, self.list_queues, "List queues")

    async def list_queues(
        self,
        queue: Annotated[
            str | list[str] | None,
            Field(description="Only these queues; * and ? are wild"),
        ] = None,
    ) -> ListedQueues:
        """List the queues: tasks that wait, how long the oldest does, who takes them.

        Use it when tasks do not start: a queue without a consumer is listed first.
        Measured every 10 s; why one task waits is told by explain_task.
        """
        with refusing():
            demand("read", "list_queues")
            wanted = parse_filter(flat(queue=queue)).queue
            found = [
                one
                for one in await self._reader.queues()
                if wanted is None or any(glob(name)(one.name) for name in wanted)
            ]
        now = time.time()
        listed = queues.by_trouble(found)[:SHOWN]
        return ListedQueues(
            total=len(found),
            queues=[QueueState(**queues.shown(one, now)) for one in listed],
            message=queues.said(found) if found else "No such queue was measured yet.",
        )
