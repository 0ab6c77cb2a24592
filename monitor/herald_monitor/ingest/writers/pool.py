"""A pool of writer processes as one writer: all events of a task go to one process.

This routing is an optimization only. Merging is the same in any order, and a concurrent
change of a record is merged again by the slower process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence

from herald_core.errors import HeraldError, StoreUnreachable
from herald_core.store.types import WriteResult
from herald_core.system.subprocesses import spawn, terminate
from herald_monitor.ingest.consumers.event_header import TaskEvent
from herald_monitor.ingest.retrying_writer import merge_results
from herald_monitor.ingest.writers.protocol import (
    JobResult,
    decode_result,
    encode_jobs,
    read_frame,
    to_receipt,
)

log = logging.getLogger(__name__)

BUFFER_BYTES = 4 * 1024 * 1024
"""Bytes of unread data that the system may buffer, if it allows that many."""

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 2.0

PROCESS_ENDED_MESSAGE = (
    "a writing process of the monitor has ended; what it had is stored again"
)


class WriterProcess:
    """One of them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**os.environ, **env}
        self._waiting: deque[asyncio.Future[WriteResult]] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._receiving: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Return once it has its store open. Raises `HeraldError`, `OSError`."""
        ours, theirs = socket.socketpair()
        with theirs:
            for line in (ours, theirs):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            number = theirs.fileno()
            words = ["-m", "herald_monitor.ingest.writers.process", str(number)]
            self._process = await asyncio.to_thread(
                spawn, [sys.executable, *words], None, env=self._env, keep=[number]
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        async with asyncio.timeout(READY_TIMEOUT_S):
            said = await read_frame(reader)
        to_receipt(
            decode_result(said)
            if said is not None
            else JobResult(error=PROCESS_ENDED_MESSAGE)
        )
        self._receiving = asyncio.create_task(self._receive_results(reader))

    async def store(self, said: bytes) -> WriteResult:
        """Let it store a job. Raises `StoreError`."""
        if self._writer is None or self._receiving is None or self._receiving.done():
            raise StoreUnreachable(PROCESS_ENDED_MESSAGE)
        told: asyncio.Future[WriteResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        self._writer.write(said)
        return await told

    async def _receive_results(self, reader: asyncio.StreamReader) -> None:
        """Hand out its receipts, in the order of the jobs, until it ends."""
        try:
            while (said := await read_frame(reader)) is not None:
                told = self._waiting.popleft()
                if told.done():
                    continue  # the caller no longer waits
                try:
                    told.set_result(to_receipt(decode_result(said)))
                except HeraldError as error:
                    told.set_exception(error)
        finally:
            for told in self._waiting:
                if not told.done():
                    told.set_exception(StoreUnreachable(PROCESS_ENDED_MESSAGE))
            self._waiting.clear()

    async def stop(self) -> None:
        """Let the process finish its jobs up to a timeout, and stop it."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=STOP_TIMEOUT_S)
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            await asyncio.to_thread(terminate, self._process, STOP_TIMEOUT_S)
        if self._receiving is not None:
            await asyncio.gather(self._receiving, return_exceptions=True)


class WriterProcessPool:
    """`number` of them, with settings in their environment `env`."""

    def __init__(self, env: Mapping[str, str], number: int) -> None:
        self._processes = [WriterProcess(env) for _ in range(number)]

    @property
    def number(self) -> int:
        """The number of processes."""
        return len(self._processes)

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [p.pid for p in self._processes if p.pid is not None]

    async def start(self) -> None:
        """Start all. Raises `HeraldError` or `OSError`, and then none runs."""
        started = await asyncio.gather(
            *(process.start() for process in self._processes), return_exceptions=True
        )
        errors = [one for one in started if isinstance(one, BaseException)]
        if errors:
            await self.stop()
            raise errors[0]

    async def store(self, events: Sequence[TaskEvent], *, now: float) -> WriteResult:
        """Store `events`, each task's by one process.

        Raises `StoreError` or `EventDecodeError`.

        When one fails the others may have stored theirs: to store it again is no
        news.
        """
        told = await asyncio.gather(
            *(
                process.store(job)
                for process, job in zip(
                    self._processes, encode_jobs(events, now, self.number), strict=True
                )
                if job
            ),
            return_exceptions=True,
        )
        receipts: list[WriteResult] = []
        for one in told:
            if isinstance(one, BaseException):
                raise one
            receipts.append(one)
        return merge_results(receipts)

    async def stop(self) -> None:
        """Let all processes finish their jobs, and stop them."""
        await asyncio.gather(*(process.stop() for process in self._processes))
