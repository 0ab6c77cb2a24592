"""What can be read and watched: tasks, lists of them, workers, Herald itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ResourceError

from herald_monitor.errors import BadInput, HeraldError
from herald_monitor.model import shape
from herald_monitor.model.codec import to_json
from herald_monitor.model.filters import Filter
from herald_server.catalog import Catalog, TaskType
from herald_server.catalog_types import closest
from herald_server.health import Health
from herald_server.mcp import uris
from herald_server.mcp.access import demand
from herald_server.mcp.active import actives, checked_id, newest
from herald_server.mcp.failed import failures
from herald_server.mcp.groups import group_told
from herald_server.state import Shared

JSON = "application/json"
MOST = 1_000
"""Tasks of a group that are read at most."""


class Resources:
    """The resources, as JSON. Each can be subscribed to."""

    def __init__(self, shared: Shared, catalog: Catalog) -> None:
        self._reader = shared.store
        self._groups = shared.groups
        self._health = Health(shared)
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
            mcp.resource(uri, name=name, title=title, mime_type=JSON)(read)

    async def task(self, task_id: str) -> str:
        """All that is known of a task, with each of its attempts. Subscribable."""
        with reading():
            task = await self._reader.task(checked_id(task_id))
            attempts = await self._reader.attempts(task.id)
            return _json({**shape.to_dict(task), "attempts": attempts})

    async def group(self, group_id: str) -> str:
        """A group: counts, progress over all, and its tasks. Subscribable."""
        with reading():
            group_id = checked_id(group_id)
            found = await self._groups.summary(group_id)
            tasks = await newest(self._reader, Filter(group=(group_id,)), MOST)
            return _json(group_told(group_id, tasks, found))

    async def worker(self, name: str) -> str:
        """A worker: whether it lives, its load, what it runs. Subscribable."""
        with reading():
            workers = await self._reader.workers(now=time.time())
            known = {worker.id: worker for worker in workers}
            if name not in known:
                raise _unknown_worker(name, list(known))
            running = Filter(worker=(name,), state=(shape.STARTED,))
            tasks = await newest(self._reader, running, MOST)
            # In a filter `*` and `?` are wild; in the name of a worker they are not.
            mine = [{"id": t.id, "name": t.name} for t in tasks if t.worker == name]
            return _json({**shape.to_dict(known[name]), "running": mine})

    async def active(self) -> str:
        """The tasks that wait, run or will be retried. Subscribable."""
        with reading():
            found = await actives(self._reader, self._catalog)
            return found.model_dump_json()

    async def failed(self) -> str:
        """The newest tasks that failed, were rejected or got lost. Subscribable."""
        with reading():
            return _json(await failures(self._reader, self._catalog))

    async def health(self) -> str:
        """Whether what Herald tells can be trusted: monitors, gaps. Subscribable."""
        with reading():
            return _json(await self._health.report())

    async def task_types(self) -> str:
        """The task types, startable or not, with JSON Schemas."""
        with reading():
            return _json([described(kind) for kind in self._catalog])


def described(kind: TaskType) -> dict[str, object]:
    """Return a task type for who wants to start it."""
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


def _unknown_worker(name: str, known: list[str]) -> BadInput:
    others = f"; known are {', '.join(known[:20])}" if known else "; none is known yet"
    meant = closest(name, known) or others
    return BadInput(f"no worker {name[:80]!r} was ever heard of{meant}", "name")


def _json(value: object) -> str:
    return to_json(value).decode()


@contextmanager
def reading() -> Generator[None, None, None]:
    """Let who may `read` go on, and raise what Herald refuses as `ResourceError`."""
    try:
        demand("read", "reading resources")
        yield
    except HeraldError as error:
        raise ResourceError(str(error), log_level=logging.DEBUG) from error
