"""Writing processes, as one thing that stores: what is about one task goes to one.

Where it goes only spares them surprises: merging is the same in any order, and a
record that two of them change at once is merged again by the slower.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence

from herald_monitor.child_process import end, spawn
from herald_monitor.errors import HeraldError, StoreUnreachable
from herald_monitor.store import Receipt
from herald_monitor.storing import together
from herald_monitor.unread import Told
from herald_monitor.writing_frames import (
    Done,
    Hello,
    frame,
    jobs,
    read_done,
    read_frame,
    receipt,
)

log = logging.getLogger(__name__)

BUFFER = 4 * 1024 * 1024
"""Bytes that the system may hold of what was not read yet, if it allows so many."""

READY_WITHIN = 20.0
END_WITHIN = 2.0

GONE = "a writing process of the monitor has ended; what it had is stored again"


class WritingProcess:
    """One of them."""

    def __init__(self, settings: str) -> None:
        self._settings = settings
        self._waiting: deque[asyncio.Future[Receipt]] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._hearing: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Return once it has its store open. Raises `HeraldError`, `OSError`."""
        ours, theirs = socket.socketpair()
        with theirs:
            for line in (ours, theirs):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            number = theirs.fileno()
            words = ["-m", "herald_monitor.writing_process", str(number)]
            self._process = await asyncio.to_thread(
                spawn, [sys.executable, *words], None, keep=[number]
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._writer.write(frame(Hello(self._settings)))
        async with asyncio.timeout(READY_WITHIN):
            said = await read_frame(reader)
        receipt(read_done(said) if said is not None else Done(error=GONE))
        self._hearing = asyncio.create_task(self._hear(reader))

    async def store(self, said: bytes) -> Receipt:
        """Let it store a job. Raises `StoreError`."""
        if self._writer is None or self._hearing is None or self._hearing.done():
            raise StoreUnreachable(GONE)
        told: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        self._writer.write(said)
        return await told

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Hand out its receipts, in the order of the jobs, until it ends."""
        try:
            while (said := await read_frame(reader)) is not None:
                told = self._waiting.popleft()
                if told.done():
                    continue  # nobody waits any more
                try:
                    told.set_result(receipt(read_done(said)))
                except HeraldError as error:
                    told.set_exception(error)
        finally:
            for told in self._waiting:
                if not told.done():
                    told.set_exception(StoreUnreachable(GONE))
            self._waiting.clear()

    async def stop(self) -> None:
        """Let it finish what it was given, but not for long, and end it."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=END_WITHIN)
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            await asyncio.to_thread(end, self._process, END_WITHIN)
        if self._hearing is not None:
            await asyncio.gather(self._hearing, return_exceptions=True)


class WritingPool:
    """`number` of them, for a store as the `settings` (JSON) want it."""

    def __init__(self, settings: str, number: int) -> None:
        self._processes = [WritingProcess(settings) for _ in range(number)]

    @property
    def number(self) -> int:
        """How many there are."""
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

    async def store(self, events: Sequence[Told], *, now: float) -> Receipt:
        """Store `events`, each task's by one process. Raises `StoreError` or `NotRead`.

        When one fails the others may have stored theirs: to store it again is no
        news.
        """
        told = await asyncio.gather(
            *(
                process.store(job)
                for process, job in zip(
                    self._processes, jobs(events, now, self.number), strict=True
                )
                if job
            ),
            return_exceptions=True,
        )
        receipts: list[Receipt] = []
        for one in told:
            if isinstance(one, BaseException):
                raise one
            receipts.append(one)
        return together(receipts)

    async def stop(self) -> None:
        """Let all finish what they were given, and end them."""
        await asyncio.gather(*(process.stop() for process in self._processes))
