"""Child processes that are started again when they end unasked."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from herald_monitor.child_process import end, spawn
from herald_monitor.embedded import EmbeddedStore

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


class Child(msgspec.Struct, frozen=True):
    """A program to keep running. Without `log` it speaks on our standard error.

    `patience` is how long it may take to stop (seconds) before it is killed. It
    inherits the file descriptors `keep`.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path | None = None
    patience: float = 3.5
    keep: Sequence[int] = ()


class Supervisor:
    """Keeps children running until they are all to end."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._patience: dict[str, float] = {}
        self._watching: list[asyncio.Task[None]] = []

    def start(self, child: Child) -> None:
        """Start `child`, and again whenever it ends. Raises `OSError`."""
        self._patience[child.name] = child.patience
        self._processes[child.name] = self._spawn(child)
        self._watching.append(asyncio.create_task(self._watch(child)))

    def pid(self, name: str) -> int:
        """Return the process id of a child."""
        return self._processes[name].pid

    async def stop(self) -> None:
        """End all children at once, each within its patience."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        ends = [
            asyncio.to_thread(end, process, self._patience[name])
            for name, process in self._processes.items()
        ]
        await asyncio.gather(*ends)

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        return spawn(child.command, child.log, env=child.env, keep=child.keep)

    async def _watch(self, child: Child) -> None:
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            code = await asyncio.to_thread(self._processes[child.name].wait)
            if loop.time() - begun > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            log.error(
                "The %s ended with exit code %s; starting it again in %.1f s.",
                child.name,
                code,
                pause,
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self._processes[child.name] = self._spawn(child)


async def keep_store(store: EmbeddedStore) -> None:
    """Start the embedded store again, with what it kept, whenever it ends."""
    while True:
        await asyncio.to_thread(store.wait)
        log.error("The embedded store ended; starting it again.")
        await asyncio.to_thread(store.start)
