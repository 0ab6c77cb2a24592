"""`herald mcp`: the MCP door over standard input and output."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.commands.options import (
    LOGS,
    SOURCE,
    STORE,
    log_to_stderr,
    options,
    settings_of,
)


@click.command()
@options(SOURCE, STORE, LOGS)
def mcp(log_level: str, **given: Any) -> None:
    """Speak MCP over standard input and output, for an agent on this machine.

    Reads the store of a running Herald; with --broker or -A tasks can be
    started and cancelled too.
    """
    from herald_server.running import run_mcp

    log_to_stderr(log_level)
    asyncio.run(run_mcp(settings_of(**given)))
