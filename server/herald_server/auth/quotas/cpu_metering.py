"""Charge the CPU time of all work for a caller, step by step.

A request is a coroutine, and the tasks it starts are others; each runs in steps,
between which the event loop runs other work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar, cast

from herald_server.auth.request_context import REQUEST_CONTEXT, RequestContext

T = TypeVar("T")


class MeteredCoroutine(Coroutine[Any, Any, T]):
    """A coroutine whose steps are charged to the account of `payer`."""

    __slots__ = ("_payer", "_work")

    def __init__(self, work: Coroutine[Any, Any, T], payer: RequestContext) -> None:
        self._work = work
        self._payer = payer

    def send(self, value: Any, /) -> Any:
        """Run a step."""
        started = time.thread_time()
        try:
            return self._work.send(value)
        finally:
            self._payer.charge(time.thread_time() - started, time.monotonic())

    def throw(self, *error: Any) -> Any:
        """Run a step that begins with an exception."""
        started = time.thread_time()
        try:
            return self._work.throw(*error)
        finally:
            # Its traceback refers to this frame: a cycle would keep the other frames
            # alive.
            del error
            self._payer.charge(time.thread_time() - started, time.monotonic())

    def close(self) -> None:
        """Close the coroutine."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        """Return itself: its steps are those of the awaiting coroutine."""
        return cast("Generator[Any, Any, T]", self)

    def __iter__(self) -> MeteredCoroutine[T]:
        """Return itself."""
        return self

    def __next__(self) -> Any:
        """Run a step."""
        return self.send(None)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the coroutine, such as `cr_frame`."""
        return getattr(self._work, name)


async def run_for_caller(
    caller: RequestContext | None, work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Run `work` for `caller` until this asyncio task ends; None: for nobody."""
    REQUEST_CONTEXT.set(caller)
    if caller is None:
        await work()
    else:
        await MeteredCoroutine(work(), caller)


def charge_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Charge asyncio tasks to the caller for whom they are started."""
    if loop.get_task_factory() is None:
        loop.set_task_factory(_make_task)


def _make_task(
    loop: asyncio.AbstractEventLoop,
    work: Any,
    *,
    context: Context | None = None,
    **options: Any,
) -> asyncio.Task[Any]:
    payer = REQUEST_CONTEXT.get() if context is None else context.get(REQUEST_CONTEXT)
    if payer is not None:
        work = MeteredCoroutine(work, payer)
    return asyncio.Task(work, loop=loop, context=context, **options)
