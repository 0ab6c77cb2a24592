"""Run child processes and restart those that end."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from herald_core.store.embedded import EmbeddedValkey
from herald_core.system.backoff import Backoff
from herald_core.system.cancellation import cancel_tasks
from herald_core.system.subprocesses import spawn, terminate

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 5.0


class ChildProcess(msgspec.Struct, frozen=True):
    """A program to keep running. Without `log` it writes to this process's stderr.

    `stop_timeout_s` is its time to stop in seconds before it is killed. It inherits the
    file descriptors `keep`.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path | None = None
    stop_timeout_s: float = 3.5
    keep: Sequence[int] = ()


class Supervisor:
    """Runs children until they are stopped together."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stop_timeout_s: dict[str, float] = {}
        self._watch_tasks: list[asyncio.Task[None]] = []

    def start(self, child: ChildProcess) -> None:
        """Start `child`, and restart it whenever it ends. Raises `OSError`."""
        self._stop_timeout_s[child.name] = child.stop_timeout_s
        self._processes[child.name] = self._spawn(child)
        self._watch_tasks.append(asyncio.create_task(self._watch(child)))

    def get_pid(self, name: str) -> int:
        """Return the process id of a child."""
        return self._processes[name].pid

    async def stop(self) -> None:
        """Stop all children at once, each within its patience."""
        await cancel_tasks(*self._watch_tasks)
        ends = [
            asyncio.to_thread(terminate, process, self._stop_timeout_s[name])
            for name, process in self._processes.items()
        ]
        await asyncio.gather(*ends)

    def _spawn(self, child: ChildProcess) -> subprocess.Popen[bytes]:
        return spawn(child.command, child.log, env=child.env, keep=child.keep)

    async def _watch(self, child: ChildProcess) -> None:
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S, jitter=0.0)
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            code = await asyncio.to_thread(self._processes[child.name].wait)
            if loop.time() - begun > MAX_PAUSE_S:
                backoff.reset()
            pause = backoff.next_pause()
            log.error(
                "The %s ended with exit code %s; starting it again in %.1f s.",
                child.name,
                code,
                pause,
            )
            await asyncio.sleep(pause)
            self._processes[child.name] = self._spawn(child)


async def supervise_store(store: EmbeddedValkey) -> None:
    """Restart the embedded store, with its data, whenever it ends."""
    while True:
        await asyncio.to_thread(store.wait)
        log.error("The embedded store ended; starting it again.")
        await asyncio.to_thread(store.start)
