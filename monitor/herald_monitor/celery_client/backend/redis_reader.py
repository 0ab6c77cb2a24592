"""The metas in a Redis result backend, read on connections of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

from redis import RedisError
from redis.exceptions import NoPermissionError

from herald_core.errors import InvalidEvent
from herald_core.system.cancellation import preserve_cancellation
from herald_core.system.cooperative_work import TimeSlices
from herald_core.system.error_sentences import find_cause
from herald_monitor.celery_client.backend.connection import (
    MetaDecoder,
    make_redis_client,
    to_backend_error,
)
from herald_monitor.celery_client.backend.result_pages import ResultPage

logger = logging.getLogger(__name__)

TaskMeta: TypeAlias = Mapping[str, object]
OnInvalidMeta: TypeAlias = Callable[[InvalidEvent], None]

BLOCK_KEYS = 1_000
FIRST_BLOCK_KEYS = 100
LARGE_REPLY_BYTES = 4_000_000
"""Ids in one MGET. It grows while answers are smaller than the limit in bytes."""

MAX_PAYLOAD_BYTES = 16_000_000
"""Bytes of one meta above which it is not fetched."""

SCAN_COUNT = 1_000
SCAN_PAUSE_S = 0.005
"""Seconds between two steps of a scan, in which others have the server."""


class RedisResultReader:
    """A reader of Celery's Redis `backend`. All methods raise `BackendUnreachable`.

    `quarantine` is called with each invalid meta.
    """

    def __init__(self, backend: Any, set_aside: OnInvalidMeta) -> None:
        self._backend = backend
        self._on_invalid = set_aside
        self._block = FIRST_BLOCK_KEYS
        self._client: Any = None
        self._lock = asyncio.Lock()
        self.is_scan_refused = False

    async def read_metas(self, ids: Sequence[str]) -> list[tuple[str, TaskMeta]]:
        """Return the metas of those of `ids` that there are."""
        payloads = MetaDecoder(self._backend)
        metas: list[tuple[str, TaskMeta]] = []
        turns = TimeSlices()
        done = 0
        while done < len(ids):
            part = ids[done : done + self._block]
            found = await self._read_values(part)
            for task_id, payload in zip(part, found, strict=True):
                if payload is not None:
                    self._add_meta(task_id, payload, payloads, metas)
                    await turns.yield_if_due()
            self._adapt_block(sum(len(payload) for payload in found if payload))
            done += len(part)
        return metas

    async def read_payload(self, task_id: str) -> tuple[int, bytes]:
        """Return the size of a meta in bytes, and the meta as it is stored.

        One of more than `MAX_PAYLOAD_BYTES` bytes is empty; nothing stored is (0, b"").
        """
        [key] = self._make_keys([task_id])
        async with self._open_client() as client:
            size = int(await client.execute_command("STRLEN", key))
            if not 0 < size <= MAX_PAYLOAD_BYTES:
                return size, b""
            [stored] = await client.execute_command("MGET", key)
        return len(stored or b""), stored or b""

    async def read_group(
        self, group_id: str, most: int
    ) -> tuple[int | None, bytes | None]:
        """Return the size of a chord that runs, and the `GroupResult` as it is stored.

        One of more than `most` bytes is left out.
        """
        key = self._backend.get_key_for_group(group_id)
        chord = self._backend.get_key_for_group(group_id, ".s")
        async with self._open_client() as client:
            size = await client.execute_command("GET", chord)
            length = await client.execute_command("STRLEN", key)
            fits = 0 < int(length) <= most
            stored = await client.execute_command("GET", key) if fits else None
        return int(size) if size and bytes(size).isdigit() else None, stored

    async def find_known(self, ids: Sequence[str]) -> set[str]:
        """Return which of `ids` there are."""
        keys = self._make_keys(ids)
        async with self._open_client() as client:
            if await client.execute_command("EXISTS", *keys) == len(keys):
                return set(ids)
            pipe = client.pipeline(transaction=False)
            for key in keys:
                pipe.execute_command("EXISTS", key)
            held = await pipe.execute()
        return {task_id for task_id, there in zip(ids, held, strict=True) if there}

    async def scan_pages(self) -> AsyncGenerator[ResultPage]:
        """Yield the ids of all results, in no order, by SCAN with pauses.

        An id may come twice. Without the permission for SCAN there are none, which is
        logged once.
        """
        prefix = cast(bytes, self._backend.task_keyprefix)
        words = ("MATCH", make_glob(prefix), "COUNT", SCAN_COUNT)
        total, done = await self._count_keys(), 0
        cursor: Any = None
        while cursor != b"0":
            async with self._open_client() as client:
                try:
                    cursor, keys = await client.execute_command(
                        "SCAN", cursor or b"0", *words
                    )
                except NoPermissionError as error:
                    self._log_scan_refused(error)
                    return
            self.is_scan_refused = False
            done = total if cursor == b"0" else min(done + SCAN_COUNT, total)
            ids = [key[len(prefix) :].decode("utf-8", "replace") for key in keys]
            yield ResultPage(ids, done, total)
            await asyncio.sleep(SCAN_PAUSE_S)

    async def _count_keys(self) -> int:
        """Return the number of all keys of the database; 0 if that is not permitted."""
        async with self._open_client() as client:
            try:
                return int(await client.execute_command("DBSIZE"))
            except NoPermissionError:
                return 0

    def _log_scan_refused(self, error: NoPermissionError) -> None:
        if not self.is_scan_refused:
            self.is_scan_refused = True
            logger.warning(
                "Results of tasks that were never heard of are not searched for: %s.",
                find_cause(error, "HERALD_RESULT_BACKEND").reason,
            )

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _make_keys(self, ids: Sequence[str]) -> list[bytes]:
        return [self._backend.get_key_for_task(task_id) for task_id in ids]

    async def _read_values(self, ids: Sequence[str]) -> list[bytes | None]:
        async with self._open_client() as client:
            found = await client.execute_command("MGET", *self._make_keys(ids))
            return cast(list[bytes | None], found)

    def _add_meta(
        self,
        task_id: str,
        payload: bytes,
        payloads: MetaDecoder,
        metas: list[tuple[str, TaskMeta]],
    ) -> None:
        try:
            metas.append((task_id, payloads.decode(payload)))
        except InvalidEvent as error:
            self._on_invalid(error)

    def _adapt_block(self, size: int) -> None:
        """Reduce the block size if results are large."""
        if size > LARGE_REPLY_BYTES:
            self._block = max(self._block // 4, 1)
        else:
            self._block = min(self._block * 2, BLOCK_KEYS)

    @asynccontextmanager
    async def _open_client(self) -> AsyncGenerator[Any]:
        try:
            with preserve_cancellation():
                async with self._lock:
                    if self._client is None:
                        self._client = await make_redis_client(self._backend)
                    client = self._client
                yield client
        except (RedisError, OSError, TimeoutError) as error:
            # Connect anew the next time: Sentinels may know another primary.
            await self.close()
            raise to_backend_error(self._backend, error) from error


def make_glob(prefix: bytes) -> bytes:
    """Return the pattern of all keys with the prefix `prefix`."""
    text = prefix.decode("latin-1")
    escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
    return escaped.encode("latin-1") + b"*"
