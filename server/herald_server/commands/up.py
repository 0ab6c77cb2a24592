"""`herald up`: monitor and server beside a Celery installation, in one command."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
from celery import Celery

from herald_server.commands.options import (
    DOORS,
    FOR,
    KEEPING,
    LOGS,
    SAFETY,
    SOURCE,
    STORE,
    WORKERS,
    log_to_stderr,
    options,
    settings_of,
)

DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="HERALD_DATA",
    show_envvar=True,
    help="Where the embedded store keeps its files.  [default: one place a broker]",
)

up_options = options(STORE, DATA, KEEPING, DOORS, SAFETY, WORKERS, FOR, LOGS)


@click.command()
@options(SOURCE)
@up_options
def up(**given: Any) -> None:
    """Run monitor and server beside your Celery, with an embedded store.

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
    from herald_server.running import run_all

    log_to_stderr(log_level)
    asyncio.run(run_all(settings_of(**given), celery, seconds, data))
