"""What can be read and watched: tasks, the active ones, and the catalog."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ResourceError

from herald_monitor.errors import HeraldError
from herald_monitor.model import shape
from herald_monitor.model.codec import to_json
from herald_monitor.store import Reader
from herald_server.catalog import Catalog, TaskType
from herald_server.mcp.access import demand
from herald_server.mcp.active import actives, checked_id

TASK = "task://"
ACTIVE = "tasks://active"
TYPES = "catalog://task-types"
JSON = "application/json"


class Resources:
    """The resources, as JSON."""

    def __init__(self, reader: Reader, catalog: Catalog) -> None:
        self._reader = reader
        self._catalog = catalog

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the resources to `mcp`."""
        mcp.resource(TASK + "{task_id}", name="task", title="A task", mime_type=JSON)(
            self.task
        )
        mcp.resource(ACTIVE, name="active-tasks", title="Active tasks", mime_type=JSON)(
            self.active
        )
        mcp.resource(
            TYPES,
            name="task-types",
            title="Task types that can be started",
            mime_type=JSON,
        )(self.task_types)

    async def task(self, task_id: str) -> str:
        """All that is known of a task, with each of its attempts. Subscribable."""
        with reading():
            task = await self._reader.task(checked_id(task_id))
            attempts = await self._reader.attempts(task.id)
        return to_json({**shape.to_dict(task), "attempts": attempts}).decode()

    async def active(self) -> str:
        """The tasks that wait, run or will be retried. Subscribable."""
        with reading():
            found = await actives(self._reader, self._catalog)
        return found.model_dump_json()

    async def task_types(self) -> str:
        """The task types that start_background_task takes, with JSON Schemas."""
        with reading():
            return to_json([described(kind) for kind in self._catalog]).decode()


def described(kind: TaskType) -> dict[str, object]:
    """Return a task type for who wants to start it."""
    return {
        "task_type": kind.name,
        "task_name": kind.celery_name,
        "description": kind.description,
        "estimated_duration": kind.duration,
        "scope": kind.scope,
        "asks_for_confirmation": kind.confirm,
        "params": kind.json_schema(),
    }


@contextmanager
def reading() -> Generator[None, None, None]:
    """Let who may `read` go on, and raise what Herald refuses as `ResourceError`."""
    try:
        demand("read", "reading resources")
        yield
    except HeraldError as error:
        raise ResourceError(str(error), log_level=logging.DEBUG) from error
