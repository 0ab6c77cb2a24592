"""`herald up`: monitor, server and embedded store in one command."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
from celery import Celery

from herald_server.cli.server_options import (
    DURATION_OPTION,
    EVENT_QUEUE_OPTIONS,
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

DATA_OPTION = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="HERALD_DATA",
    show_envvar=True,
    help="Directory of the embedded store.  [default: one for each broker]",
)

up_options = combine_options(
    STORE_OPTIONS,
    DATA_OPTION,
    EVENT_QUEUE_OPTIONS,
    LISTEN_OPTIONS,
    SECURITY_OPTIONS,
    WORKERS_OPTION,
    DURATION_OPTION,
    LOG_OPTIONS,
)


@click.command()
@combine_options(SOURCE_OPTIONS)
@up_options
def up(**given: Any) -> None:
    """Run monitor and server for your Celery, with an embedded store.

    Give --broker (and --backend), or -A PROJECT. With --store, that Redis or
    Valkey is used instead of the embedded one.
    """
    run_up(None, **given)


def run_up(
    celery: Celery | None,
    /,
    *,
    log_level: str,
    seconds: float | None,
    data: Path | None,
    **given: Any,
) -> None:
    """Run until SIGTERM, or for some `seconds`. `celery` is the app of `celery -A`."""
    from herald_server.wiring.launcher import run_all

    log_to_stderr(log_level)
    asyncio.run(run_all(make_settings(**given), celery, seconds, data))
