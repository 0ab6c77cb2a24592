"""The metas in a Redis result backend, read on connections of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

from redis import RedisError
from redis.exceptions import NoPermissionError

from herald_monitor.backend_link import Payloads, redis_client, refusal
from herald_monitor.errors import BadEvent
from herald_monitor.heeding import heeded
from herald_monitor.refusals import refusal_of
from herald_monitor.turns import Turns

logger = logging.getLogger(__name__)

Meta: TypeAlias = Mapping[str, object]
SetAside: TypeAlias = Callable[[BadEvent], None]

BLOCK = 1_000
FIRST_BLOCK = 100
MUCH = 4_000_000
"""Ids in one MGET. It grows while answers stay below so many bytes."""

MAX_PAYLOAD = 16_000_000
"""Bytes of one meta above which it is not fetched."""

SCAN_COUNT = 1_000
SCAN_PAUSE = 0.005
"""Seconds between two steps of a scan, in which others have the server."""


class RedisResults:
    """Reads what Celery's `backend` keeps. All methods raise `BackendUnreachable`.

    `set_aside` is told of each meta that cannot be read.
    """

    def __init__(self, backend: Any, set_aside: SetAside) -> None:
        self._backend = backend
        self._set_aside = set_aside
        self._block = FIRST_BLOCK
        self._client: Any = None
        self._lock = asyncio.Lock()
        self._said = False

    async def metas(self, ids: Sequence[str]) -> list[tuple[str, Meta]]:
        """Return the metas of those of `ids` that there are."""
        payloads = Payloads(self._backend)
        metas: list[tuple[str, Meta]] = []
        turns = Turns()
        done = 0
        while done < len(ids):
            part = ids[done : done + self._block]
            found = await self._mget(part)
            for task_id, payload in zip(part, found, strict=True):
                if payload is not None:
                    self._note(task_id, payload, payloads, metas)
                    await turns.take()
            self._adapt(sum(len(payload) for payload in found if payload))
            done += len(part)
        return metas

    async def payload(self, task_id: str) -> tuple[int, bytes]:
        """Return the size of a meta in bytes, and the meta as it is stored.

        One of more than `MAX_PAYLOAD` bytes is empty; nothing stored is (0, b"").
        """
        [key] = self._keys([task_id])
        async with self._connected() as client:
            size = int(await client.execute_command("STRLEN", key))
            if not 0 < size <= MAX_PAYLOAD:
                return size, b""
            [stored] = await client.execute_command("MGET", key)
        return len(stored or b""), stored or b""

    async def group(self, group_id: str, most: int) -> tuple[int | None, bytes | None]:
        """Return the size of a chord that runs, and the `GroupResult` as it is stored.

        One of more than `most` bytes is left out.
        """
        key = self._backend.get_key_for_group(group_id)
        chord = self._backend.get_key_for_group(group_id, ".s")
        async with self._connected() as client:
            size = await client.execute_command("GET", chord)
            length = await client.execute_command("STRLEN", key)
            fits = 0 < int(length) <= most
            stored = await client.execute_command("GET", key) if fits else None
        return int(size) if size and bytes(size).isdigit() else None, stored

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return which of `ids` there are."""
        keys = self._keys(ids)
        async with self._connected() as client:
            if await client.execute_command("EXISTS", *keys) == len(keys):
                return set(ids)
            pipe = client.pipeline(transaction=False)
            for key in keys:
                pipe.execute_command("EXISTS", key)
            held = await pipe.execute()
        return {task_id for task_id, there in zip(ids, held, strict=True) if there}

    async def find(self) -> AsyncGenerator[list[str]]:
        """Yield the ids of all results, in no order, at the pace of a scan with pauses.

        One may come twice. None where the user may not scan, which the log says once.
        """
        prefix = cast(bytes, self._backend.task_keyprefix)
        words = ("MATCH", glob(prefix), "COUNT", SCAN_COUNT)
        cursor: Any = None
        while cursor != b"0":
            async with self._connected() as client:
                try:
                    cursor, keys = await client.execute_command(
                        "SCAN", cursor or b"0", *words
                    )
                except NoPermissionError as error:
                    self._cannot_search(error)
                    return
            yield [key[len(prefix) :].decode("utf-8", "replace") for key in keys]
            await asyncio.sleep(SCAN_PAUSE)

    def _cannot_search(self, error: NoPermissionError) -> None:
        if not self._said:
            self._said = True
            logger.warning(
                "Results of tasks that were never heard of are not searched for: %s.",
                refusal_of(error, "HERALD_RESULT_BACKEND").why,
            )

    async def close(self) -> None:
        """Let go of all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _keys(self, ids: Sequence[str]) -> list[bytes]:
        return [self._backend.get_key_for_task(task_id) for task_id in ids]

    async def _mget(self, ids: Sequence[str]) -> list[bytes | None]:
        async with self._connected() as client:
            found = await client.execute_command("MGET", *self._keys(ids))
            return cast(list[bytes | None], found)

    def _note(
        self,
        task_id: str,
        payload: bytes,
        payloads: Payloads,
        metas: list[tuple[str, Meta]],
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

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Any]:
        try:
            with heeded():
                async with self._lock:
                    if self._client is None:
                        self._client = await redis_client(self._backend)
                    client = self._client
                yield client
        except (RedisError, OSError, TimeoutError) as error:
            # Connect anew the next time: Sentinels may know another primary.
            await self.close()
            raise refusal(self._backend, error) from error


def glob(prefix: bytes) -> bytes:
    """Return the pattern of all that begins with `prefix`."""
    text = prefix.decode("latin-1")
    escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
    return escaped.encode("latin-1") + b"*"
