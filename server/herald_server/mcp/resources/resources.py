"""What can be read and watched: tasks, lists of them, workers, Herald itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ResourceError

from herald_core.errors import HeraldError, InvalidInput
from herald_core.model.codec import to_json
from herald_core.model.filters import Filter
from herald_core.model.tasks import views
from herald_server.api.context import ServerContext
from herald_server.api.observability.health import HealthReporter
from herald_server.catalog.catalog import Catalog, TaskType
from herald_server.catalog.types import suggest_name
from herald_server.mcp import uris
from herald_server.mcp.answers.failures import list_failures
from herald_server.mcp.answers.group_summary import summarize_group
from herald_server.mcp.answers.listing import (
    list_active,
    read_newest_tasks,
    validate_task_id,
)
from herald_server.mcp.http.auth import require_scope

JSON_TYPE = "application/json"
MAX_TASKS = 1_000
"""Tasks of a group that are read at most."""


class ResourceHandler:
    """The resources, as JSON. Each can be subscribed to."""

    def __init__(self, shared: ServerContext, catalog: Catalog) -> None:
        self._reader = shared.store
        self._groups = shared.groups
        self._health = HealthReporter(shared)
        self._catalog = catalog

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the resources to `mcp`."""
        for uri, name, title, read in (
            (uris.TASK + "{task_id}", "task", "A task", self.task),
            (uris.GROUP + "{group_id}", "group", "A group of tasks", self.group),
            (uris.WORKER + "{name}", "worker", "A worker", self.worker),
            (uris.ACTIVE, "active-tasks", "Active tasks", self.active),
            (uris.FAILED, "failed-tasks", "Failed tasks", self.failed),
            (uris.HEALTH, "health", "Herald's health", self.health),
            (uris.TYPES, "types", "Task types", self.task_types),
            (uris.CATALOG, "task-types", "The same, by its old name", self.task_types),
        ):
            mcp.resource(uri, name=name, title=title, mime_type=JSON_TYPE)(read)

    async def task(self, task_id: str) -> str:
        """All that is known of a task, with each of its attempts. Subscribable."""
        with convert_to_resource_error():
            task = await self._reader.get_task(validate_task_id(task_id))
            attempts = await self._reader.list_attempts(task.id)
            return _to_json({**views.to_dict(task), "attempts": attempts})

    async def group(self, group_id: str) -> str:
        """A group: counts, progress over all, and its tasks. Subscribable."""
        with convert_to_resource_error():
            group_id = validate_task_id(group_id)
            found = await self._groups.read_summary(group_id)
            tasks = await read_newest_tasks(
                self._reader, Filter(group=(group_id,)), MAX_TASKS
            )
            return _to_json(summarize_group(group_id, tasks, found))

    async def worker(self, name: str) -> str:
        """A worker: whether it lives, its load, what it runs. Subscribable."""
        with convert_to_resource_error():
            workers = await self._reader.list_workers(now=time.time())
            known = {worker.id: worker for worker in workers}
            if name not in known:
                raise _make_unknown_worker(name, list(known))
            running = Filter(worker=(name,), state=(views.STARTED,))
            tasks = await read_newest_tasks(self._reader, running, MAX_TASKS)
            # In a filter `*` and `?` are wild; in the name of a worker they are not.
            mine = [{"id": t.id, "name": t.name} for t in tasks if t.worker == name]
            return _to_json({**views.to_dict(known[name]), "running": mine})

    async def active(self) -> str:
        """The tasks that wait, run or will be retried. Subscribable."""
        with convert_to_resource_error():
            found = await list_active(self._reader, self._catalog)
            return found.model_dump_json()

    async def failed(self) -> str:
        """The newest tasks that failed, were rejected or got lost. Subscribable."""
        with convert_to_resource_error():
            return _to_json(await list_failures(self._reader, self._catalog))

    async def health(self) -> str:
        """Whether what Herald tells can be trusted: monitors, gaps. Subscribable."""
        with convert_to_resource_error():
            return _to_json(await self._health.make_report())

    async def task_types(self) -> str:
        """The task types, startable or not, with JSON Schemas."""
        with convert_to_resource_error():
            return _to_json([describe_type(kind) for kind in self._catalog])


def describe_type(kind: TaskType) -> dict[str, object]:
    """Return a task type with all that is needed to start it."""
    return {
        "task_type": kind.name,
        "task_name": kind.celery_name,
        "description": kind.description,
        "estimated_duration": kind.duration,
        "scope": kind.scope,
        "asks_for_confirmation": kind.confirm,
        "startable": kind.startable,
        "params": kind.json_schema(),
    }


def _make_unknown_worker(name: str, known: list[str]) -> InvalidInput:
    others = f"; known are {', '.join(known[:20])}" if known else "; none is known yet"
    meant = suggest_name(name, known) or others
    return InvalidInput(f"no worker {name[:80]!r} was ever heard of{meant}", "name")


def _to_json(value: object) -> str:
    return to_json(value).decode()


@contextmanager
def convert_to_resource_error() -> Generator[None, None, None]:
    """Check the scope `read`, and raise Herald's errors as `ResourceError`."""
    try:
        require_scope("read", "reading resources")
        yield
    except HeraldError as error:
        raise ResourceError(str(error), log_level=logging.DEBUG) from error
