"""The result backend, asked: what became of these tasks?"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import cast

import msgspec
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
from herald_monitor.errors import BadEvent
from herald_monitor.group_results import MOST_BYTES, child_size, saved_size
from herald_monitor.meta import KINDS, Redact, Unread, exception_text, read_meta
from herald_monitor.model.events import Event
from herald_monitor.model.traces import trace_id
from herald_monitor.redis_results import Meta, RedisResults

logger = logging.getLogger(__name__)

__all__ = ["BackendUnreachable", "FullResult", "ResultBackend", "kind_of"]

WITHIN = 10.0
"""Seconds that one call may take."""

TURN = 250
"""Results that are read before others on the loop have a turn: 3 ms."""

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


class FullResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the backend keeps of one task. `size` is in bytes.

    `value` is the `repr` of the result; absent if it is too large to be shown.
    `trace_id` is that of a `traceparent` stamp, which extended results keep.
    """

    task_id: str
    status: str
    value: str | None = None
    exception: str | None = None
    traceback: str | None = None
    trace_id: str | None = None
    size: int = 0


class ResultBackend:
    """Answers about results, of whatever kind `app`'s backend is.

    `redact` is applied to every text; `poison` counts what could not be read.
    """

    def __init__(self, app: Celery, redact: Redact = str) -> None:
        self.poison = 0
        self._app = app
        self._redact = redact
        self._kind = ""
        self._redis: RedisResults | None = None
        self._askers = Askers("result-backend")

    @property
    def kind(self) -> str:
        """`redis`, `other`, or what cannot be asked: `rpc`, `disabled`, `broken`."""
        if not self._kind:
            self._kind = kind_of(self._app)
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
            "says": SAYS[self.kind],
        }

    async def read(self, ids: Sequence[str], within: float = WITHIN) -> list[Event]:
        """Return what the backend knows of the tasks `ids`; of some, nothing.

        What cannot be read is left out and counted. Raises `BackendUnreachable`,
        at the latest after `within` seconds.
        """
        if not self.can_ask or not ids:
            return []
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
        return None if meta is None else self._full(task_id, meta, size)

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
        try:
            [size] = await self._askers.ask(self._saved_group, [group_id], within)
        except Exception as error:  # each backend's library has its own
            raise refusal(backend_of(self._app), error) from error
        if size is not None or not parents:
            return size
        metas = await self._one_by_one(list(parents), within)
        sizes = (child_size(meta, group_id) for _, meta in metas)
        return next((one for one in sizes if one is not None), None)

    def _saved_group(self, group_id: str) -> int | None:
        found = backend_of(self._app).restore_group(group_id, cache=False)
        return None if found is None else len(found.results)

    async def find(self, limit: int) -> list[str]:
        """Return ids of up to `limit` tasks that the backend knows, in no order.

        Goes through all keys of a Redis server, with pauses; nothing elsewhere.
        Raises `BackendUnreachable`.
        """
        return await self._results().find(limit) if self.kind == "redis" else []

    async def close(self) -> None:
        """Let go of all connections and threads."""
        self._askers.close()
        if self._redis is not None:
            await self._redis.close()

    def _results(self) -> RedisResults:
        if self._redis is None:
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
        try:
            return await self._askers.ask(self._ask, ids, within)
        except BackendUnreachable:
            raise
        except Exception as error:  # each backend's library has its own
            raise refusal(backend_of(self._app), error) from error

    def _ask(self, task_id: str) -> tuple[str, Meta]:
        found = backend_of(self._app).get_task_meta(task_id, cache=False)
        return task_id, cast(Meta, found)

    def _event(self, task_id: str, meta: Meta, heard: float) -> Event | None:
        try:
            return read_meta(meta, task_id, heard, self._redact)
        except BadEvent as error:
            self._set_aside(error)
            return None

    def _full(self, task_id: str, meta: Meta, size: int) -> FullResult | None:
        status, result = str(meta.get("status")), meta.get("result")
        if status == "PENDING":
            return None
        failed = KINDS.get(status) in ("failed", "revoked", "retried")
        hidden = failed or isinstance(result, Unread)
        traceback = meta.get("traceback")
        return FullResult(
            task_id=task_id,
            status=status,
            value=None if hidden else self._redact(repr(result)),
            exception=exception_text(result, self._redact) if failed else None,
            traceback=self._redact(traceback) if isinstance(traceback, str) else None,
            trace_id=trace_id(meta.get("traceparent")),
            size=result.size if isinstance(result, Unread) else size,
        )

    def _set_aside(self, error: BadEvent) -> None:
        self.poison += 1
        logger.warning("Set a result aside: %s", error)


def kind_of(app: Celery) -> str:
    """Return of what kind `app`'s result backend is: a key of `SAYS`."""
    try:
        backend = backend_of(app)
    except BackendUnreachable as error:
        logger.warning("%s", error)
        return "broken"
    if isinstance(backend, RedisBackend):
        return "redis"
    if isinstance(backend, RPCBackend):
        return "rpc"
    return "disabled" if isinstance(backend, DisabledBackend) else "other"
