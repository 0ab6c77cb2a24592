"""`herald server`: the server alone, next to a monitor that runs elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.cli.server_options import (
    DURATION_OPTION,
    LISTEN_OPTIONS,
    LOG_OPTIONS,
    SECURITY_OPTIONS,
    SOURCE_OPTIONS,
    STORE_OPTIONS,
    WORKERS_OPTION,
    combine_options,
)
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.settings import make_settings


@click.command()
@combine_options(
    SOURCE_OPTIONS,
    STORE_OPTIONS,
    LISTEN_OPTIONS,
    SECURITY_OPTIONS,
    WORKERS_OPTION,
    DURATION_OPTION,
    LOG_OPTIONS,
)
def server(log_level: str, seconds: float | None, **given: Any) -> None:
    """Push each change of a store to people and programs.

    With --broker or -A tasks can be started and cancelled too.
    """
    from herald_server.wiring.launcher import run_server

    log_to_stderr(log_level)
    asyncio.run(run_server(make_settings(**given), seconds))
