"""Asking a result backend, of whatever kind it is."""

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

from herald_monitor.askers import Askers
from herald_monitor.backend_link import (
    BackendUnreachable,
    backend_name,
    backend_of,
    refusal,
)
from herald_monitor.backend_records import read_one
from herald_monitor.errors import BadEvent
from herald_monitor.gentle import gently
from herald_monitor.meta import Redact
from herald_monitor.project_modules import close_connections
from herald_monitor.project_options import project_options
from herald_monitor.redis_results import Meta, RedisResults

logger = logging.getLogger(__name__)

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

PART = 25
"""Results that one thread asks for in a row, on one connection."""

TRY_AGAIN = 5.0
"""Seconds after which a backend that could not be used is tried once more."""

SAYS = {
    "redis": "results are read in blocks, and heard as they are stored",
    "rpc": "results go only to whoever sent the task; nobody else can ask for them",
    "disabled": "no result backend is configured",
    "broken": "the result backend cannot be used here; the log says why",
    "other": "results are asked for one by one",
}
"""The kinds of result backends, and what each means to Herald."""


class BackendAccess:
    """The result backend of `app`: its kind, and what it stores, as it stores it.

    `redact` is applied to every text; `poison` counts what could not be read. `spent`
    is called with the seconds of CPU time that a large result took on a thread.
    """

    def __init__(
        self,
        app: Celery,
        redact: Redact = str,
        spent: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.poison = 0
        self._spent = spent
        self._app = app
        self._redact = redact
        self._kind = ""
        self._why = ""
        self._tried_at = float("-inf")
        self._redis: RedisResults | None = None
        self._options = project_options(app)
        self._generation = 0
        self._askers = Askers("result-backend")
        # One at a time: they share the interpreter with the loop.
        self._readers = Askers("large-results", most=1)

    @property
    def kind(self) -> str:
        """`redis`, `other`, or what cannot be asked: `rpc`, `disabled`, `broken`."""
        if self._kind not in ("", "broken"):
            return self._kind
        now = time.monotonic()
        if now - self._tried_at >= TRY_AGAIN:
            self._tried_at = now
            self._look()
        return self._kind

    @property
    def can_ask(self) -> bool:
        """Whether the backend can tell of a task that somebody else sent."""
        return self.kind in ("redis", "other")

    def describe(self) -> dict[str, object]:
        """Return what a person must know: `kind`, `name`, `can_ask`, `says`."""
        named = self.kind not in ("broken", "disabled")
        return {
            "kind": self.kind,
            "name": backend_name(backend_of(self._app)) if named else "",
            "can_ask": self.can_ask,
            "says": self._why or SAYS[self.kind],
        }

    async def close(self) -> None:
        """Let go of all connections and threads."""
        self._askers.close()
        self._readers.close()
        if self._redis is not None:
            await self._redis.close()

    def _results(self) -> RedisResults:
        if self._redis is None or self._generation != self._options.generation:
            self._generation = self._options.generation
            self._redis = RedisResults(backend_of(self._app), self._set_aside)
        return self._redis

    async def _metas(self, ids: Sequence[str], within: float) -> list[tuple[str, Meta]]:
        if self.kind != "redis":
            return await self._one_by_one(ids, within)
        try:
            async with asyncio.timeout(within):
                return await self._results().metas(ids)
        except TimeoutError as error:
            await self._results().close()
            raise refusal(backend_of(self._app), error) from error

    async def _one_by_one(
        self, ids: Sequence[str], within: float
    ) -> list[tuple[str, Meta]]:
        parts = [ids[at : at + PART] for at in range(0, len(ids), PART)]
        answers = await self._ask(self._read_part, parts, within)
        return [pair for part in answers for pair in part]

    async def _ask(
        self,
        question: Callable[[Asked], Answer],
        things: Sequence[Asked],
        within: float,
    ) -> list[Answer]:
        try:
            return await self._askers.ask(question, things, within)
        except BackendUnreachable:
            raise
        except Exception as error:  # each backend's library has its own
            raise refusal(backend_of(self._app), error) from error

    def _read_part(self, ids: Sequence[str]) -> list[tuple[str, Meta]]:
        """Read on a thread of our own, which keeps no connection of Django's."""
        backend = backend_of(self._app)
        try:
            return [(task_id, read_one(backend, task_id)) for task_id in ids]
        finally:
            close_connections()

    async def _look_at(
        self, look: Callable[[Asked], Answer], thing: Asked, within: float
    ) -> Answer:
        """Return what `look` makes of something large, on a thread."""
        took: list[float] = []

        def timed(one: Asked) -> Answer:
            begun = time.thread_time()
            try:
                return gently(lambda: look(one))
            finally:
                took.append(time.thread_time() - begun)

        try:
            [answer] = await self._readers.ask(timed, [thing], within)
        except TimeoutError as error:
            raise BackendUnreachable(
                "other large results are being read; ask again in some seconds"
            ) from error
        finally:
            self._spent(sum(took))
        return answer

    def _look(self) -> None:
        """Find out of what kind the backend is, and why if it is broken."""
        try:
            self._kind, self._why = kind_of(self._app), ""
        except BackendUnreachable as error:
            if str(error) != self._why:
                logger.warning("%s", error)
            self._kind, self._why = "broken", str(error)

    def _set_aside(self, error: BadEvent) -> None:
        self.poison += 1
        logger.warning("Set a result aside: %s", error)


def kind_of(app: Celery) -> str:
    """Return of what kind `app`'s result backend is: a key of `SAYS`.

    Raises `BackendUnreachable` if it is broken.
    """
    backend = backend_of(app)
    if isinstance(backend, RedisBackend):
        return "redis"
    if isinstance(backend, RPCBackend):
        return "rpc"
    return "disabled" if isinstance(backend, DisabledBackend) else "other"
