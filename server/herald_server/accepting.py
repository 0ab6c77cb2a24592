"""What is logged when no more files may be opened, so no connection is taken."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

OUT_OF_FILES = "socket.accept() out of system resource"
"""How asyncio says so (asyncio/selector_events.py), with a traceback for each try."""

SAY_EVERY_S = 60.0


def say_out_of_files(
    loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic
) -> None:
    """Have `loop` say so in one line a minute; all other errors are left to it."""
    due = clock()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal due
        if context.get("message") != OUT_OF_FILES:
            loop.default_exception_handler(context)
        elif clock() >= due:
            due = clock() + SAY_EVERY_S
            log.error(
                "No connection can be taken: this process may open no more files "
                "(%s). Raise its limit (ulimit -n, LimitNOFILE).",
                context.get("exception"),
            )

    loop.set_exception_handler(handle)
