"""`herald monitor`: hear a broker's events and keep what they mean."""

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
def monitor(log_level: str, **given: Any) -> None:
    """Hear Celery's events and keep what they mean in the store.

    Several may run at once: what one misses, the other hears.
    """
    from herald_monitor import daemon

    log_to_stderr(log_level)
    asyncio.run(daemon.monitor(settings_of(**given)))
