"""Counts the CPU time of all work that is done for a caller, step by step.

A request is one coroutine, and the tasks that it starts are others; each runs in
steps between which the loop serves somebody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar, cast

from herald_server.caller import Caller, caller

T = TypeVar("T")


class Metered(Coroutine[Any, Any, T]):
    """A coroutine whose steps are charged to the account of `payer`."""

    __slots__ = ("_payer", "_work")

    def __init__(self, work: Coroutine[Any, Any, T], payer: Caller) -> None:
        self._work = work
        self._payer = payer

    def send(self, value: Any, /) -> Any:
        """Do a step."""
        begun = time.thread_time()
        try:
            return self._work.send(value)
        finally:
            self._charge_since(begun)

    def throw(self, *error: Any) -> Any:
        """Do a step that begins with an error."""
        begun = time.thread_time()
        try:
            return self._work.throw(*error)
        finally:
            # Its traceback refers to this frame: a cycle would keep all that the
            # others hold.
            del error
            self._charge_since(begun)

    def close(self) -> None:
        """End it."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        """Return itself: its steps are those of whoever awaits it."""
        return cast("Generator[Any, Any, T]", self)

    def __iter__(self) -> Metered[T]:
        """Return itself."""
        return self

    def __next__(self) -> Any:
        """Do a step."""
        return self.send(None)

    def __getattr__(self, name: str) -> Any:
        """Return what is known of the coroutine, such as `cr_frame`."""
        return getattr(self._work, name)

    def _charge_since(self, begun: float) -> None:
        self._payer.charge(time.thread_time() - begun, time.monotonic())


def meter_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have tasks charged to the caller for whom they are started."""
    if loop.get_task_factory() is None:
        loop.set_task_factory(_make_task)


def _make_task(
    loop: asyncio.AbstractEventLoop,
    work: Any,
    *,
    context: Context | None = None,
    **options: Any,
) -> asyncio.Task[Any]:
    payer = caller() if context is None else context.run(caller)
    if payer is not None:
        work = Metered(work, payer)
    return asyncio.Task(work, loop=loop, context=context, **options)
