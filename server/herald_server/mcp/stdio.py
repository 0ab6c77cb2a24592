"""MCP over standard input and output: for an agent on this machine.

Standard output carries the protocol and nothing else; logs go to standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal

from celery import Celery

from herald_monitor.model.redaction import Redactor
from herald_monitor.stores import store_of
from herald_server.config import ServerSettings
from herald_server.mcp.door import build_mcp
from herald_server.mcp.results import BackendResults
from herald_server.sharing import share, working


async def speak(settings: ServerSettings, app: Celery | None) -> None:
    """Serve the local user until standard input ends. Raises `HeraldError`.

    `app` sends to Celery; without it nothing can be started or cancelled.
    """
    _end_on(signal.SIGINT, signal.SIGTERM)
    store = store_of(settings)
    await store.open()
    try:
        shared = share(settings, store, app)
        redact = Redactor(settings.redact)
        results = BackendResults(shared.backend, redact) if shared.backend else None
        async with working(shared):
            door = build_mcp(shared, results)
            await door.run_stdio_async(show_banner=False)
    finally:
        await store.close()


def _end_on(*signals: signal.Signals) -> None:
    # A thread waits in read() on standard input and cannot be called off; ended
    # in the ordinary way, the interpreter would wait for it for ever. Nothing
    # is lost: whatever was started runs on at the workers.
    for one in signals:
        asyncio.get_running_loop().add_signal_handler(one, os._exit, 0)
