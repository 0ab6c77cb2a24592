"""Several server processes on one address. Any client resumes on any of them."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

from herald_monitor.store import Reader
from herald_monitor.stores import store_of
from herald_server.config import ServerSettings
from herald_server.serve import url_of
from herald_server.supervisor import Child, Supervisor
from herald_server.tls import check_tls

READY_FD = "HERALD_READY_FD"
"""Where a child says that it serves: the number of an open pipe."""

READY = b"+"


def as_environment(settings: ServerSettings) -> dict[str, str]:
    """Return `settings` as the variables that make them again."""
    shown = {key: getattr(settings, key) for key in settings.model_fields_set}
    return {
        f"HERALD_{key.upper()}": _written(value)
        for key, value in shown.items()
        if value is not None
    }


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    return str(value)


async def serve_with_children(
    settings: ServerSettings,
    bound: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    children: Supervisor,
    env: Mapping[str, str],
    before: Callable[[Reader], Awaitable[None]] | None = None,
) -> None:
    """Let `settings.workers` children of `children` serve until `stop`.

    `bound` holds the address and hears nothing itself. `ready` is called with
    the URL once all serve, `before` is awaited ahead of that. Children that end
    are started again. Raises `HeraldError` if the store cannot be had.
    """
    check_tls(settings)
    store = store_of(settings)
    await store.open()
    try:
        async with _all_ready(settings.workers) as (pipe, all_ready):
            told = {
                **env,
                **as_environment(settings),
                "HERALD_PORT": str(bound.getsockname()[1]),
                READY_FD: str(pipe),
            }
            for number in range(settings.workers):
                children.start(_child(number + 1, told, pipe))
            if await _first(all_ready, stop):
                if before is not None:
                    await before(store)
                ready(url_of(bound, secure=settings.tls_cert is not None))
                await stop.wait()
    finally:
        await store.close()


def _child(number: int, env: Mapping[str, str], pipe: int) -> Child:
    command = [sys.executable, "-m", "herald_server.one_of_many"]
    return Child(f"server {number}", command, env, keep=(pipe,))


@asynccontextmanager
async def _all_ready(number: int) -> AsyncGenerator[tuple[int, asyncio.Event]]:
    """Give a pipe, and what is set once `number` children have written to it."""
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


async def _first(wanted: asyncio.Event, other: asyncio.Event) -> bool:
    """Wait for either; say whether it was `wanted`."""
    waits = [asyncio.create_task(one.wait()) for one in (wanted, other)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    return wanted.is_set() and not other.is_set()
