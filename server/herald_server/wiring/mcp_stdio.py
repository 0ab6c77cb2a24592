"""MCP over standard input and output, for an agent on this machine.

Standard output carries the protocol and nothing else; logs go to standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal

from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.store.factory import make_store
from herald_server.auth.identity import Identity
from herald_server.mcp.answers.task_results import BackendResults
from herald_server.mcp.answers.untrusted import load_sanitizer
from herald_server.mcp.http.auth import LOCAL_USER, local_user
from herald_server.mcp.profiles.profile import (
    EVERYTHING,
    ToolProfile,
    process_profile,
)
from herald_server.mcp.server import build_mcp
from herald_server.wiring.services import build_context, run_background_tasks
from herald_server.wiring.settings import ServerSettings


async def serve_stdio(
    settings: ServerSettings,
    app: Celery | None,
    who: Identity = LOCAL_USER,
    profile: ToolProfile = EVERYTHING,
) -> None:
    """Serve the local user until standard input ends. Raises `HeraldError`.

    `app` publishes to Celery; without it nothing can be started or cancelled. The user
    has the scopes of `who`, and gets the tools of `profile`.
    """
    local_user.set(who)
    process_profile.set(profile)
    _stop_on_signal(signal.SIGINT, signal.SIGTERM)
    store = make_store(settings)
    await store.open()
    try:
        shared = build_context(settings, store, app)
        redact = Redactor(settings.redact)
        results = BackendResults(shared.backend, redact) if shared.backend else None
        async with run_background_tasks(shared):
            door = build_mcp(
                shared, results, sanitizer=load_sanitizer(settings.mcp_sanitizer)
            )
            await door.run_stdio_async(show_banner=False)
    finally:
        await store.close()


def _stop_on_signal(*signals: signal.Signals) -> None:
    # A thread waits in read() on standard input and cannot be cancelled; a normal exit
    # would wait for it forever. Nothing is lost: started tasks run at the workers.
    for one in signals:
        asyncio.get_running_loop().add_signal_handler(one, os._exit, 0)
