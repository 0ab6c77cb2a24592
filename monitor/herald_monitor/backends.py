"""The result backend, asked: what became of these tasks?"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from celery import Celery
from celery.backends.base import DisabledBackend
from celery.backends.redis import RedisBackend
from celery.backends.rpc import RPCBackend
from redis import RedisError

from herald_monitor.askers import Askers
from herald_monitor.backend_link import (
    BackendUnreachable,
    Payloads,
    backend_name,
    backend_of,
    redis_client,
    refusal,
)
from herald_monitor.errors import BadEvent
from herald_monitor.meta import KINDS, Redact, Unread, exception_text, read_meta
from herald_monitor.model.events import Event

logger = logging.getLogger(__name__)

BLOCK = 1_000
FIRST_BLOCK = 100
MUCH = 4_000_000
"""Ids in one MGET. It grows while answers stay below so many bytes."""

WITHIN = 10.0
"""Seconds for all ids of one call, where each is asked for on its own."""

SCAN_COUNT = 1_000
SCAN_PAUSE = 0.005
"""Seconds between two steps of a scan, in which others have the server."""

MOST_SHOWN = 4_000_000
"""Bytes of a result that is shown whole."""

SAYS = {
    "redis": "results are read in blocks, and heard as they are stored",
    "rpc": "results go only to whoever sent the task, nobody else can ask for them",
    "disabled": "no result backend is configured",
    "broken": "the result backend cannot be used here",
    "other": "results are asked for one by one",
}


class FullResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the backend keeps of one task. `size` is in bytes of `value`.

    `value` is absent where it is larger than may be shown.
    """

    task_id: str
    status: str
    value: str | None = None
    exception: str | None = None
    traceback: str | None = None
    size: int = 0


class ResultBackend:
    """Answers about results, of whatever kind `app`'s backend is.

    `redact` is applied to every text. `poison` counts what could not be read.
    """

    def __init__(self, app: Celery, redact: Redact = str) -> None:
        self.poison = 0
        self._app = app
        self._redact = redact
        self._kind = ""
        self._name = ""
        self._block = FIRST_BLOCK
        self._client: Any = None
        self._lock = asyncio.Lock()
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
        """Return what a person must know of it: kind, name, can_ask, says."""
        name = "" if self.kind == "broken" else backend_name(backend_of(self._app))
        return {
            "kind": self.kind,
            "name": name,
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
        try:
            async with asyncio.timeout(within):
                ask = self._mget if self.kind == "redis" else self._one_by_one
                metas = await ask(list(dict.fromkeys(ids)), within)
        except (RedisError, OSError, TimeoutError) as error:
            raise await self._refused(error) from error
        told = [self._event(task_id, meta, heard) for task_id, meta in metas]
        return [event for event in told if event is not None]

    async def full(self, task_id: str, most: int = MOST_SHOWN) -> FullResult | None:
        """Return all that is kept of one task, or None if nothing is.

        A result of more than `most` bytes is only measured. Raises
        `BackendUnreachable` and `BadEvent`.
        """
        if not self.can_ask or not task_id:
            return None
        size, meta = await self._found(task_id, most)
        if meta is None or (status := str(meta.get("status"))) == "PENDING":
            return None
        result, traceback = meta.get("result"), meta.get("traceback")
        failed = KINDS.get(status) in ("failed", "revoked", "retried")
        shown = None if failed or isinstance(result, Unread) else repr(result)
        return FullResult(
            task_id=task_id,
            status=status,
            value=None if shown is None else self._redact(shown),
            exception=exception_text(result, self._redact) if failed else None,
            traceback=self._redact(traceback) if isinstance(traceback, str) else None,
            size=result.size if isinstance(result, Unread) else size,
        )

    async def find(self, limit: int) -> list[str]:
        """Return the ids of up to `limit` tasks that the backend knows, in no order.

        Goes through all keys of a Redis server, with pauses; nothing elsewhere.
        Raises `BackendUnreachable`.
        """
        if self.kind != "redis":
            return []
        prefix = cast(bytes, backend_of(self._app).task_keyprefix)
        found: dict[str, None] = {}
        cursor: Any = b"0"
        try:
            while True:
                client = await self._redis()
                words = ("SCAN", cursor, "MATCH", glob(prefix), "COUNT", SCAN_COUNT)
                cursor, keys = await client.execute_command(*words)
                for key in keys:
                    found[key[len(prefix) :].decode("utf-8", "replace")] = None
                if cursor == b"0" or len(found) >= limit:
                    return list(found)[:limit]
                await asyncio.sleep(SCAN_PAUSE)
        except (RedisError, OSError, TimeoutError) as error:
            raise await self._refused(error) from error

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return which of `ids` a Redis backend holds. Raises `BackendUnreachable`."""
        backend = backend_of(self._app)
        keys = [backend.get_key_for_task(task_id) for task_id in ids]
        try:
            client = await self._redis()
            if await client.execute_command("EXISTS", *keys) == len(set(keys)):
                return set(ids)
            pipe = client.pipeline(transaction=False)
            for key in keys:
                pipe.execute_command("EXISTS", key)
            held = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise await self._refused(error) from error
        return {task_id for task_id, there in zip(ids, held, strict=True) if there}

    async def close(self) -> None:
        """Let go of all connections."""
        client, self._client = self._client, None
        self._askers.close()
        if client is not None:
            await client.aclose()

    # -- asking -------------------------------------------------------------------

    async def _mget(
        self, ids: Sequence[str], _: float
    ) -> list[tuple[str, Mapping[str, object]]]:
        backend = backend_of(self._app)
        payloads = Payloads(backend)
        metas: list[tuple[str, Mapping[str, object]]] = []
        done = 0
        while done < len(ids):
            part = ids[done : done + self._block]
            keys = [backend.get_key_for_task(task_id) for task_id in part]
            found = await (await self._redis()).execute_command("MGET", *keys)
            for task_id, payload in zip(part, found, strict=True):
                if payload is not None:
                    self._note(task_id, payload, payloads, metas)
            self._adapt(sum(len(payload) for payload in found if payload))
            done += len(part)
        return metas

    def _note(
        self,
        task_id: str,
        payload: bytes,
        payloads: Payloads,
        metas: list[tuple[str, Mapping[str, object]]],
    ) -> None:
        try:
            metas.append((task_id, payloads.read(payload)))
        except BadEvent as error:
            self._set_aside(error)

    def _adapt(self, size: int) -> None:
        """Ask for fewer at once where results are large."""
        if size > MUCH:
            self._block = max(self._block // 4, 1)
        else:
            self._block = min(self._block * 2, BLOCK)

    async def _one_by_one(
        self, ids: Sequence[str], within: float
    ) -> list[tuple[str, Mapping[str, object]]]:
        ask = self._meta_of()
        try:
            return await self._askers.ask(lambda id_: (id_, ask(id_)), ids, within)
        except TimeoutError:
            raise
        except Exception as error:  # each backend's library has its own
            raise await self._refused(error) from error

    def _meta_of(self) -> Callable[[str], Mapping[str, object]]:
        app = self._app

        def meta(task_id: str) -> Mapping[str, object]:
            found = backend_of(app).get_task_meta(task_id, cache=False)
            return cast(Mapping[str, object], found)

        return meta

    async def _found(
        self, task_id: str, most: int
    ) -> tuple[int, Mapping[str, object] | None]:
        if self.kind != "redis":
            [(_, meta)] = await self._one_by_one([task_id], WITHIN)
            return len(repr(meta.get("result"))), meta
        backend = backend_of(self._app)
        key = backend.get_key_for_task(task_id)
        try:
            payload = await (await self._redis()).execute_command("GET", key)
        except (RedisError, OSError, TimeoutError) as error:
            raise await self._refused(error) from error
        if payload is None:
            return 0, None
        return len(payload), Payloads(backend, large=most).read(payload)

    async def _redis(self) -> Any:
        async with self._lock:
            if self._client is None:
                self._client = await redis_client(backend_of(self._app))
            return self._client

    async def _refused(self, error: Exception) -> BackendUnreachable:
        """Return `error` as a sentence; connect anew the next time."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        if isinstance(error, BackendUnreachable):
            return error
        return refusal(backend_of(self._app), error)

    def _event(
        self, task_id: str, meta: Mapping[str, object], heard: float
    ) -> Event | None:
        try:
            return read_meta(meta, task_id, heard, self._redact)
        except BadEvent as error:
            self._set_aside(error)
            return None

    def _set_aside(self, error: BadEvent) -> None:
        self.poison += 1
        logger.warning("Set a result aside: %s", error)


def kind_of(app: Celery) -> str:
    """Return of what kind `app`'s result backend is: see `SAYS`."""
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


def glob(prefix: bytes) -> bytes:
    """Return the pattern of all that begins with `prefix`."""
    special = b"*?[]\\"
    escaped = b"".join(
        b"\\" + bytes([byte]) if byte in special else bytes([byte]) for byte in prefix
    )
    return escaped + b"*"
