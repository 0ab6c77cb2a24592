"""The result backend, asked: what became of these tasks?"""

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
from herald_monitor.backend_records import find_newest, read_one
from herald_monitor.errors import BadEvent
from herald_monitor.full_results import FullResult, make_full
from herald_monitor.group_results import MOST_BYTES, child_size, saved_size
from herald_monitor.meta import Redact, read_meta
from herald_monitor.model.events import Event
from herald_monitor.project_modules import close_connections
from herald_monitor.project_options import project_options
from herald_monitor.redis_results import Meta, RedisResults

logger = logging.getLogger(__name__)

__all__ = ["BackendUnreachable", "FullResult", "ResultBackend", "kind_of"]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

WITHIN = 10.0
"""Seconds that one call may take."""

TURN = 250
"""Results that are read before others on the loop have a turn: 3 ms."""

PART = 25
"""Results that one thread asks for in a row, on one connection."""

TRY_AGAIN = 5.0
"""Seconds after which a backend that could not be used is tried once more."""

MOST_SHOWN = 4_000_000
"""Bytes of a result that is shown whole."""

SAYS = {
    "redis": "results are read in blocks, and heard as they are stored",
    "rpc": "results go only to whoever sent the task; nobody else can ask for them",
    "disabled": "no result backend is configured",
    "broken": "the result backend cannot be used here; the log says why",
    "other": "results are asked for one by one",
}
"""The kinds of result backends, and what each means to Herald."""


class ResultBackend:
    """Answers about results, of whatever kind `app`'s backend is.

    `redact` is applied to every text; `poison` counts what could not be read.
    """

    def __init__(self, app: Celery, redact: Redact = str) -> None:
        self.poison = 0
        self._app = app
        self._redact = redact
        self._kind = ""
        self._why = ""
        self._tried_at = float("-inf")
        self._redis: RedisResults | None = None
        self._options = project_options(app)
        self._generation = 0
        self._askers = Askers("result-backend")

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

    async def read(self, ids: Sequence[str], within: float = WITHIN) -> list[Event]:
        """Return what the backend knows of the tasks `ids`; of some, nothing.

        What cannot be read is left out and counted. Raises `BackendUnreachable`,
        at the latest after `within` seconds; also where the backend is broken, for
        then nothing is known of any task.
        """
        if ids and self.kind == "broken":
            raise BackendUnreachable(self._why)
        if not self.can_ask or not ids:
            return []
        if problem := self._options.results_problem:
            raise BackendUnreachable(problem)
        heard = time.time()
        metas = await self._metas(list(dict.fromkeys(ids)), within)
        events: list[Event] = []
        for number, (task_id, meta) in enumerate(metas, 1):
            if event := self._event(task_id, meta, heard):
                events.append(event)
            if number % TURN == 0:
                await asyncio.sleep(0)
        return events

    async def full(
        self, task_id: str, most: int = MOST_SHOWN, within: float = WITHIN
    ) -> FullResult | None:
        """Return all that is kept of one task, or None if nothing is.

        A result of more than `most` bytes is only measured. Raises
        `BackendUnreachable` and `BadEvent`.
        """
        if not self.can_ask or not task_id:
            return None
        if self.kind == "redis":
            size, meta = await self._results().meta(task_id, most)
        else:
            [(_, meta)] = await self._one_by_one([task_id], within)
            size = len(repr(meta.get("result")))
        return None if meta is None else make_full(task_id, meta, size, self._redact)

    async def group_size(
        self, group_id: str, parents: Sequence[str] = (), within: float = WITHIN
    ) -> int | None:
        """Return how many members a group has, None if the backend does not tell.

        `parents` are tasks that may have started it. Raises `BackendUnreachable`, at
        the latest after `within` seconds, and `BadEvent`.
        """
        if not self.can_ask:
            return None
        if self.kind != "redis":
            return await self._other_size(group_id, parents, within)
        results = self._results()
        size, saved = await results.group(group_id, MOST_BYTES)
        if size is None and saved is not None:
            size = saved_size(saved, group_id)
        for parent in parents if size is None else ():
            _, meta = await results.meta(parent, MOST_BYTES)
            size = child_size(meta, group_id) if meta and size is None else size
        return size

    async def _other_size(
        self, group_id: str, parents: Sequence[str], within: float
    ) -> int | None:
        [size] = await self._ask(self._saved_group, [group_id], within)
        if size is not None or not parents:
            return size
        metas = await self._one_by_one(list(parents), within)
        sizes = (child_size(meta, group_id) for _, meta in metas)
        return next((one for one in sizes if one is not None), None)

    def _saved_group(self, group_id: str) -> int | None:
        try:
            found = backend_of(self._app).restore_group(group_id, cache=False)
            return None if found is None else len(found.results)
        finally:
            close_connections()

    async def find(self, limit: int, since: float = 0.0) -> list[str]:
        """Return ids of up to `limit` tasks that the backend knows, in no order.

        Goes through all keys of a Redis server, with pauses. Of databases and files
        those of tasks that ended since a time (unix seconds); nothing elsewhere.
        Raises `BackendUnreachable`.
        """
        if self.kind == "redis":
            return await self._results().find(limit)
        if self.kind != "other":
            return []
        [found] = await self._ask(self._find_newest, [(since, limit)], WITHIN)
        return found

    async def close(self) -> None:
        """Let go of all connections and threads."""
        self._askers.close()
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

    def _find_newest(self, wanted: tuple[float, int]) -> list[str]:
        try:
            return find_newest(backend_of(self._app), *wanted)
        finally:
            close_connections()

    def _look(self) -> None:
        """Find out of what kind the backend is, and why if it is broken."""
        try:
            self._kind, self._why = kind_of(self._app), ""
        except BackendUnreachable as error:
            if str(error) != self._why:
                logger.warning("%s", error)
            self._kind, self._why = "broken", str(error)

    def _event(self, task_id: str, meta: Meta, heard: float) -> Event | None:
        try:
            return read_meta(meta, task_id, heard, self._redact)
        except BadEvent as error:
            self._set_aside(error)
            return None

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
