"""`herald demo`: run all of Herald on this machine, with sample tasks."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.cli.server_options import (
    DURATION_OPTION,
    LISTEN_OPTIONS,
    LOG_OPTIONS,
    SECURITY_OPTIONS,
    combine_options,
)
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.settings import make_settings


@click.command()
@combine_options(LISTEN_OPTIONS, SECURITY_OPTIONS, DURATION_OPTION, LOG_OPTIONS)
def demo(log_level: str, seconds: float | None, **given: Any) -> None:
    """Run store, sample workers, monitor and server here, with a steady load of tasks.

    Needs no Redis, no Docker and no settings.
    """
    from herald_server.demo.launcher import run_demo

    log_to_stderr(log_level)
    asyncio.run(run_demo(make_settings(**given), seconds))
