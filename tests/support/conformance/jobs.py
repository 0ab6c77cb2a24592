"""Jobs that run in the fixture itself and tell Herald's store of it, as workers do."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from fastmcp.server.context import Context
from fastmcp.server.extensions import ToolCallContinuation, ToolCallOutcome
from mcp.types import CallToolRequestParams

from herald_core.model.events.event import Event, Progress
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import Store
from herald_server.control.control import CancelResult, Control
from herald_server.mcp.tasks_extension.extension import (
    EXTENSION_ID,
    Request,
    TasksExtension,
    TaskUpdateParams,
    make_incapable_error,
)

Asked = Mapping[str, Any]
"""Requests for input by key, as the protocol has them."""


class Crash(Exception):
    """A job that goes down with its worker: nobody tells how it ended."""


class Job:
    """One job: what it waits to be told, and what it was told."""

    def __init__(self, store: Store, name: str) -> None:
        self.id = uuid4().hex
        self.open: dict[str, Any] = {}
        self._name = name
        self._store = store
        self._said: dict[str, Any] = {}
        self._answered = asyncio.Event()
        self._clock = 0
        self._task: asyncio.Task[None] | None = None

    async def begin(self, body: Callable[["Job"], Awaitable[object]]) -> None:
        """Register it, and run `body` beside the call that asked for it."""
        await self._tell("sent", source="submitted", name=self._name, retries=0)
        self._task = asyncio.create_task(self._run(body))

    async def asked(self, requests: Asked) -> Mapping[str, Any]:
        """Ask the client for input and wait until it has answered everything."""
        self.open = dict(requests)
        await self._tell("progress", progress=Progress(message="waits for input"))
        while self.open:
            self._answered.clear()
            await self._answered.wait()
        return self._said

    def answer(self, responses: Mapping[str, Any]) -> None:
        """Take the answers to what is still open; ignore all others."""
        for key in responses.keys() & self.open.keys():
            self._said[key] = responses[key]
            del self.open[key]
        self._answered.set()

    async def cancel(self) -> None:
        """End it, unless it has ended."""
        if self._task is not None and self._task.cancel():
            await asyncio.gather(self._task, return_exceptions=True)
            await self._tell("revoked", flag=True)

    async def _run(self, body: Callable[["Job"], Awaitable[object]]) -> None:
        await self._tell("received")
        await self._tell("started")
        try:
            result = await body(self)
        except Crash:
            await self._tell("lost", source="inferred", result="its worker died")
        except Exception as error:
            await self._tell("failed", exception=repr(error))
        else:
            await self._tell("succeeded", result=json.dumps(result))

    async def _tell(self, kind: str, **fields: Any) -> None:
        self._clock += 1
        now = time.time()
        said: dict[str, Any] = {"host": "jobs@here", "pid": 1, "clock": self._clock}
        event = Event(kind=kind, task_id=self.id, at=now, **said, **fields)
        await self._store.store([event], now=now)


class Jobs:
    """All jobs of the fixture."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._all: dict[str, Job] = {}

    async def start(self, name: str, body: Callable[[Job], Awaitable[object]]) -> str:
        """Start a job and return its id."""
        job = Job(self.store, name)
        self._all[job.id] = job
        await job.begin(body)
        return job.id

    def __getitem__(self, task_id: str) -> Job:
        return self._all[task_id]

    async def close(self) -> None:
        """End all jobs."""
        for job in self._all.values():
            await job.cancel()


class JobControl(Control):
    """Herald's way to send orders, to jobs instead of workers."""

    jobs: Jobs

    async def cancel(self, task_id: str, *_: Any, **__: Any) -> CancelResult:
        """End a job."""
        await self.jobs[task_id].cancel()
        task = await self._store.get_task(task_id)
        return CancelResult(task_id, task.state, "")


class AskingTasks(TasksExtension):
    """Herald's tasks extension, for tasks that may ask for input; Celery's do not."""

    give_up = 0.0
    jobs: Jobs
    required: frozenset[str]
    """Tools that cannot be served without the extension."""

    async def intercept_tool_call(
        self,
        params: CallToolRequestParams,
        context: Context,
        call_next: ToolCallContinuation,
    ) -> ToolCallOutcome:
        """Refuse what needs a task to clients that know none."""
        able = context.client_extension_settings(EXTENSION_ID) is not None
        if params.name in self.required and not able:
            raise make_incapable_error()
        return await super().intercept_tool_call(params, context, call_next)

    async def _describe_task(self, task: TaskView) -> dict[str, Any]:
        fields = await super()._describe_task(task)
        asked = self.jobs[task.id].open
        if asked and fields["status"] == "working":
            fields |= {"status": "input_required", "inputRequests": asked}
        return fields

    async def _update(self, ctx: Request, params: TaskUpdateParams) -> dict[str, Any]:
        acknowledged = await super()._update(ctx, params)
        self.jobs[params.task_id].answer(params.input_responses)
        return acknowledged
