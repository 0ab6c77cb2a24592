"""Access to a result backend of any kind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from celery import Celery
from celery.backends.base import DisabledBackend
from celery.backends.redis import RedisBackend
from celery.backends.rpc import RPCBackend

from herald_core.errors import InvalidEvent
from herald_core.system.background_thread import run_with_rests
from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.app.project_modules import close_connections
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.backend.connection import (
    BackendUnreachable,
    get_backend_name,
    get_result_backend,
    to_backend_error,
)
from herald_monitor.celery_client.backend.record_reader import read_one
from herald_monitor.celery_client.backend.redis_reader import (
    RedisResultReader,
    TaskMeta,
)
from herald_monitor.celery_client.backend.task_meta import Redact

logger = logging.getLogger(__name__)

Question = TypeVar("Question")
Answer = TypeVar("Answer")

READ_BATCH = 25
"""Results that one thread reads in a row, on one connection."""

RETRY_AFTER_S = 5.0
"""Seconds after which a backend that could not be used is tried once more."""

DESCRIPTIONS = {
    "redis": "results are read in blocks, and heard as they are stored",
    "rpc": "results go only to the sender of the task; no other client can read them",
    "disabled": "no result backend is configured",
    "broken": "the result backend cannot be used here; the log says why",
    "other": "results are asked for one by one",
}
"""The kinds of result backends, and what each means to Herald."""


class BackendAccess:
    """The result backend of `app`: its kind, and its stored data.

    `redact` is applied to every text; `rejected` counts invalid results. `spent` is
    called with the seconds of CPU time that a large result took on a thread.
    """

    def __init__(
        self,
        app: Celery,
        redact: Redact = str,
        spent: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.rejected = 0
        self._spent_s = spent
        self._app = app
        self._redact = redact
        self._kind = ""
        self._why = ""
        self._tried_at = float("-inf")
        self._redis: RedisResultReader | None = None
        self._options = get_project_options(app)
        self._generation = 0
        self._threads = TimedThreadPool("result-backend")
        # One at a time: they share the interpreter with the loop.
        self._read_threads = TimedThreadPool("large-results", max_threads=1)

    @property
    def kind(self) -> str:
        """`redis`, `other`, or an unreadable kind: `rpc`, `disabled`, `broken`."""
        if self._kind not in ("", "broken"):
            return self._kind
        now = time.monotonic()
        if now - self._tried_at >= RETRY_AFTER_S:
            self._tried_at = now
            self._detect_kind()
        return self._kind

    @property
    def can_ask(self) -> bool:
        """True if the backend can return results of tasks of other senders."""
        return self.kind in ("redis", "other")

    def describe(self) -> dict[str, object]:
        """Return a description for people: `kind`, `name`, `can_ask`, `says`."""
        named = self.kind not in ("broken", "disabled")
        return {
            "kind": self.kind,
            "name": get_backend_name(get_result_backend(self._app)) if named else "",
            "can_ask": self.can_ask,
            "says": self._why or DESCRIPTIONS[self.kind],
        }

    async def close(self) -> None:
        """Close all connections and threads."""
        self._threads.close()
        self._read_threads.close()
        if self._redis is not None:
            await self._redis.close()

    def _get_redis_results(self) -> RedisResultReader:
        if self._redis is None or self._generation != self._options.generation:
            self._generation = self._options.generation
            self._redis = RedisResultReader(
                get_result_backend(self._app), self._count_rejected
            )
        return self._redis

    async def _read_metas(
        self, ids: Sequence[str], within: float
    ) -> list[tuple[str, TaskMeta]]:
        if self.kind != "redis":
            return await self._read_singly(ids, within)
        try:
            async with asyncio.timeout(within):
                return await self._get_redis_results().read_metas(ids)
        except TimeoutError as error:
            await self._get_redis_results().close()
            raise to_backend_error(get_result_backend(self._app), error) from error

    async def _read_singly(
        self, ids: Sequence[str], within: float
    ) -> list[tuple[str, TaskMeta]]:
        parts = [ids[at : at + READ_BATCH] for at in range(0, len(ids), READ_BATCH)]
        answers = await self._ask(self._read_part, parts, within)
        return [pair for part in answers for pair in part]

    async def _ask(
        self,
        question: Callable[[Question], Answer],
        things: Sequence[Question],
        within: float,
    ) -> list[Answer]:
        try:
            return await self._threads.map(question, things, within)
        except BackendUnreachable:
            raise
        except Exception as error:  # each backend's library has its own
            raise to_backend_error(get_result_backend(self._app), error) from error

    def _read_part(self, ids: Sequence[str]) -> list[tuple[str, TaskMeta]]:
        """Read on a thread of our own, which leaves no open connection of Django's."""
        backend = get_result_backend(self._app)
        try:
            return [(task_id, read_one(backend, task_id)) for task_id in ids]
        finally:
            close_connections()

    async def _run_on_thread(
        self, look: Callable[[Question], Answer], thing: Question, within: float
    ) -> Answer:
        """Return the result of `look` for a large value, on a thread."""
        took: list[float] = []

        def timed(one: Question) -> Answer:
            begun = time.thread_time()
            try:
                return run_with_rests(lambda: look(one))
            finally:
                took.append(time.thread_time() - begun)

        try:
            [answer] = await self._read_threads.map(timed, [thing], within)
        except TimeoutError as error:
            raise BackendUnreachable(
                "other large results are being read; ask again in some seconds"
            ) from error
        finally:
            self._spent_s(sum(took))
        return answer

    def _detect_kind(self) -> None:
        """Detect the kind of the backend, and the reason if it is broken."""
        try:
            self._kind, self._why = detect_backend_kind(self._app), ""
        except BackendUnreachable as error:
            if str(error) != self._why:
                logger.warning("%s", error)
            self._kind, self._why = "broken", str(error)

    def _count_rejected(self, error: InvalidEvent) -> None:
        self.rejected += 1
        logger.warning("Set a result aside: %s", error)


def detect_backend_kind(app: Celery) -> str:
    """Return the kind of `app`'s result backend: a key of `DESCRIPTIONS`.

    Raises `BackendUnreachable` if it is broken.
    """
    backend = get_result_backend(app)
    if isinstance(backend, RedisBackend):
        return "redis"
    if isinstance(backend, RPCBackend):
        return "rpc"
    return "disabled" if isinstance(backend, DisabledBackend) else "other"
