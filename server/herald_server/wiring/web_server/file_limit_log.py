"""Log that no connection can be accepted because the process is out of
file descriptors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

NO_FILES_MESSAGE = "socket.accept() out of system resource"
"""The message of asyncio (asyncio/selector_events.py), logged with a traceback for each
attempt."""

LOG_INTERVAL_S = 60.0


def log_file_limit(
    loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic
) -> None:
    """Log exhausted file descriptors at most once a minute; pass other errors on."""
    due = clock()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal due
        if context.get("message") != NO_FILES_MESSAGE:
            loop.default_exception_handler(context)
        elif clock() >= due:
            due = clock() + LOG_INTERVAL_S
            log.error(
                "No connection can be taken: this process may open no more files "
                "(%s). Raise its limit (ulimit -n, LimitNOFILE).",
                context.get("exception"),
            )

    loop.set_exception_handler(handle)
