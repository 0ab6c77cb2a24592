"""Threads for calls that may never return, and can be abandoned."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class _PendingAnswers(Generic[Answer]):
    """The answers to some calls, until the caller stops waiting for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, missing: int) -> None:
        self.is_abandoned = False
        self.answers: list[Answer] = []
        self.done: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._remaining = missing
        self._lock = threading.Lock()

    def add_answer(self, answer: Answer) -> None:
        with self._lock:
            self.answers.append(answer)
            self._remaining -= 1
            over = self._remaining == 0
        if over:
            self._count_down(None)

    def add_error(self, error: Exception) -> None:
        self.is_abandoned = True
        self._count_down(error)

    def _count_down(self, error: Exception | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify, error)

    def _notify(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class TimedThreadPool:
    """At most `max_threads` daemon threads; a hanging call occupies its thread."""

    def __init__(self, name: str, max_threads: int = 4) -> None:
        self._name = name
        self._max_threads = max_threads
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def map(
        self,
        question: Callable[[Question], Answer],
        things: Sequence[Question],
        timeout_s: float,
    ) -> list[Answer]:
        """Return the answers of `question` to all `things`, in no order.

        Raises the first error, and `TimeoutError` after `timeout_s`.
        """
        if not things:
            return []
        round_: _PendingAnswers[Answer] = _PendingAnswers(
            asyncio.get_running_loop(), len(things)
        )
        for thing in things:
            self._jobs.put(_make_job(question, thing, round_))
        self._start(len(things))
        try:
            async with asyncio.timeout(timeout_s):
                await round_.done
        finally:
            round_.is_abandoned = True
        return round_.answers

    def close(self) -> None:
        """Let the threads end that are not held up."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads = []

    def _start(self, needed: int) -> None:
        while len(self._threads) < min(self._max_threads, needed):
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._run_jobs, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _make_job(
    question: Callable[[Question], Answer],
    thing: Question,
    round_: _PendingAnswers[Answer],
) -> Callable[[], None]:
    def job() -> None:
        if round_.is_abandoned:
            return
        try:
            answer = question(thing)
        except Exception as error:  # passed to the waiting caller
            round_.add_error(error)
        else:
            round_.add_answer(answer)

    return job
