"""Completing ids and names of resources and prompts, from what is stored."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from fastmcp import FastMCP
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage
from herald_monitor.store import Reader
from herald_server.catalog import Catalog
from herald_server.mcp.access import demand, serving
from herald_server.mcp.active import newest

MOST = 100
"""Values of one completion, as the protocol has it."""

SEARCHED = 1_000
"""Newest tasks among whose ids is searched."""


class Completing:
    """Answers `completion/complete` for `task_id`, `group_id`, `name`, `task_type`."""

    def __init__(self, reader: Reader, catalog: Catalog) -> None:
        self._reader = reader
        self._catalog = catalog

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the completions to `mcp`."""
        mcp.add_completion_handler(self.complete)

    async def complete(
        self,
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        """Return the values that begin with what was typed so far, newest first."""
        with serving():
            demand("read", "completion/complete")
            fitting = [
                value
                for value in dict.fromkeys(await self._values(argument.name))
                if value.startswith(argument.value)
            ]
        return Completion(
            values=fitting[:MOST], total=len(fitting), has_more=len(fitting) > MOST
        )

    async def _values(self, name: str) -> Iterable[str]:
        if name == "task_id":
            return [task.id for task in await self._newest()]
        if name == "group_id":
            return [task.group_id for task in await self._newest() if task.group_id]
        if name == "name":
            workers = await self._reader.workers(now=time.time())
            return [worker.id for worker in workers]
        if name == "task_type":
            return [kind.name for kind in self._catalog]
        return []

    async def _newest(self) -> list[TaskImage]:
        return await newest(self._reader, Filter(), SEARCHED)
