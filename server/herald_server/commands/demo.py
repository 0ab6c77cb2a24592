"""`herald demo`: the whole of Herald on this machine, with real work to look at."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.commands.options import (
    DOORS,
    FOR,
    LOGS,
    SAFETY,
    log_to_stderr,
    options,
    settings_of,
)


@click.command()
@options(DOORS, SAFETY, FOR, LOGS)
def demo(log_level: str, seconds: float | None, **given: Any) -> None:
    """Run everything here: store, sample workers, monitor, server, a trickle of work.

    Needs no Redis, no Docker and no settings.
    """
    from herald_server.demo.running import run_demo

    log_to_stderr(log_level)
    asyncio.run(run_demo(settings_of(**given), seconds))
