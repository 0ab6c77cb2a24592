"""Threads that ask what may never answer, and can be left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Round(Generic[Answer]):
    """The answers to some questions, until somebody stops waiting for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, missing: int) -> None:
        self.given_up = False
        self.answers: list[Answer] = []
        self.done: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._missing = missing
        self._lock = threading.Lock()

    def answer(self, answer: Answer) -> None:
        with self._lock:
            self.answers.append(answer)
            self._missing -= 1
            over = self._missing == 0
        if over:
            self._finish(None)

    def fail(self, error: Exception) -> None:
        self.given_up = True
        self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, error)

    def _tell(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Askers:
    """At most `most` daemon threads; a question that hangs keeps its thread."""

    def __init__(self, name: str, most: int = 4) -> None:
        self._name = name
        self._most = most
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def ask(
        self,
        question: Callable[[Asked], Answer],
        things: Sequence[Asked],
        within: float,
    ) -> list[Answer]:
        """Return the answers of `question` to all `things`, in no order.

        Raises the first error, and `TimeoutError` after `within` seconds.
        """
        if not things:
            return []
        round_: _Round[Answer] = _Round(asyncio.get_running_loop(), len(things))
        for thing in things:
            self._jobs.put(_job(question, thing, round_))
        self._start(len(things))
        try:
            async with asyncio.timeout(within):
                await round_.done
        finally:
            round_.given_up = True
        return round_.answers

    def close(self) -> None:
        """Let the threads end that are not held up."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads = []

    def _start(self, needed: int) -> None:
        while len(self._threads) < min(self._most, needed):
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _job(
    question: Callable[[Asked], Answer], thing: Asked, round_: _Round[Answer]
) -> Callable[[], None]:
    def job() -> None:
        if round_.given_up:
            return
        try:
            answer = question(thing)
        except Exception as error:  # told to whoever waits
            round_.fail(error)
        else:
            round_.answer(answer)

    return job
