"""`herald server`: the doors alone, beside a monitor that runs elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.commands.options import (
    DOORS,
    FOR,
    LOGS,
    SAFETY,
    SOURCE,
    STORE,
    WORKERS,
    log_to_stderr,
    options,
    settings_of,
)


@click.command()
@options(SOURCE, STORE, DOORS, SAFETY, WORKERS, FOR, LOGS)
def server(log_level: str, seconds: float | None, **given: Any) -> None:
    """Tell people and programs what a store holds, the moment it changes.

    With --broker or -A tasks can be started and cancelled too.
    """
    from herald_server.running import run_server

    log_to_stderr(log_level)
    asyncio.run(run_server(settings_of(**given), seconds))
