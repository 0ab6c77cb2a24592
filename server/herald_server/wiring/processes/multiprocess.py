"""Run several server processes on one port. A client can resume on any of them.

Uvicorn's `Multiprocess` does not serve: it blocks the main thread and takes over its
signals, ends the parent when a child cannot start, and its children run nothing but
`Server.run`, so none could open the store, or ask clients to reconnect before its
sockets close. Nor can it start a monitor beside them, or report when all are ready.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from herald_core.store.factory import make_store
from herald_core.store.ports import TaskReader
from herald_server.wiring.processes.supervisor import ChildProcess, Supervisor
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.listening import format_url
from herald_server.wiring.web_server.tls import check_tls

READY_FD = "HERALD_READY_FD"
"""Variable with the number of the pipe on which a child reports that it is ready."""

READY = b"+"


async def serve_multiprocess(
    settings: ServerSettings,
    bound: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    children: Supervisor,
    env: Mapping[str, str],
    before: Callable[[TaskReader], Awaitable[None]] | None = None,
) -> None:
    """Let `settings.workers` children of `children` serve until `stop`.

    `bound` reserves the address and accepts nothing itself. `ready` is called with the
    URL once all children serve; `before` is awaited first. Children that end are
    restarted. Raises `HeraldError` if the store cannot be opened.
    """
    check_tls(settings)
    store = make_store(settings)
    await store.open()
    try:
        async with _watch_ready(settings.workers) as (pipe, all_ready):
            variables = {
                **env,
                **settings.to_env(),
                "HERALD_PORT": str(bound.getsockname()[1]),
                READY_FD: str(pipe),
            }
            for number in range(settings.workers):
                children.start(_make_child(number + 1, variables, pipe))
            if await _wait_for_either(all_ready, stop):
                if before is not None:
                    await before(store)
                ready(format_url(bound, secure=settings.tls_cert is not None))
                await stop.wait()
    finally:
        await store.close()


def _make_child(number: int, env: Mapping[str, str], pipe: int) -> ChildProcess:
    command = [sys.executable, "-m", "herald_server.wiring.processes.worker_process"]
    return ChildProcess(f"server {number}", command, env, keep=(pipe,))


@asynccontextmanager
async def _watch_ready(number: int) -> AsyncGenerator[tuple[int, asyncio.Event]]:
    """Yield a pipe, and an event that is set once `number` children wrote to it."""
    there, here = os.pipe()[::-1]
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    left = number

    def heard() -> None:
        nonlocal left
        left -= len(os.read(here, 1024))
        if left <= 0:
            done.set()

    loop.add_reader(here, heard)
    try:
        yield there, done
    finally:
        loop.remove_reader(here)
        os.close(here)
        os.close(there)


async def _wait_for_either(wanted: asyncio.Event, other: asyncio.Event) -> bool:
    """Wait for either event; return True if it was `wanted`."""
    waits = [asyncio.create_task(one.wait()) for one in (wanted, other)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    return wanted.is_set() and not other.is_set()
