"""Complete ids and names in resources and prompts, from the store."""

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

from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import TaskReader
from herald_server.catalog.catalog import Catalog
from herald_server.mcp.answers.listing import read_newest_tasks
from herald_server.mcp.http.auth import convert_to_mcp_error, require_scope

MAX_VALUES = 100
"""Maximum number of values of one completion (MCP)."""

MAX_SEARCHED = 1_000
"""Newest tasks among whose ids is searched."""


class CompletionHandler:
    """Handles `completion/complete` for `task_id`, `group_id`, `name`, `task_type`."""

    def __init__(self, reader: TaskReader, catalog: Catalog) -> None:
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
        """Return the values that begin with the typed text, newest first."""
        with convert_to_mcp_error():
            require_scope("read", "completion/complete")
            fitting = [
                value
                for value in dict.fromkeys(await self._list_values(argument.name))
                if value.startswith(argument.value)
            ]
        return Completion(
            values=fitting[:MAX_VALUES],
            total=len(fitting),
            has_more=len(fitting) > MAX_VALUES,
        )

    async def _list_values(self, name: str) -> Iterable[str]:
        if name == "task_id":
            return [task.id for task in await self._read_newest()]
        if name == "group_id":
            return [
                task.group_id for task in await self._read_newest() if task.group_id
            ]
        if name == "name":
            workers = await self._reader.list_workers(now=time.time())
            return [worker.id for worker in workers]
        if name == "task_type":
            return [kind.name for kind in self._catalog]
        return []

    async def _read_newest(self) -> list[TaskView]:
        return await read_newest_tasks(self._reader, Filter(), MAX_SEARCHED)
