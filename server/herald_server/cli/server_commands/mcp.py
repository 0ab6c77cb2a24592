"""`herald mcp`: MCP over standard input and output."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.cli.server_options import (
    ENVIRONMENT_OPTION,
    LOG_OPTIONS,
    SOURCE_OPTIONS,
    STORE_OPTIONS,
    combine_options,
)
from herald_server.wiring.environments.definitions import find_environment
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.settings import make_settings


@click.command()
@combine_options(SOURCE_OPTIONS, STORE_OPTIONS, LOG_OPTIONS, ENVIRONMENT_OPTION)
def mcp(log_level: str, environment: str | None, **given: Any) -> None:
    """Serve MCP over standard input and output, to an agent on this machine.

    Reads the store of a running Herald; with --broker or -A tasks can be
    started and cancelled too.
    """
    from herald_server.wiring.launcher import run_mcp

    log_to_stderr(log_level)
    settings = find_environment(make_settings(**given), environment)
    asyncio.run(run_mcp(settings))
