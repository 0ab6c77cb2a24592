"""`herald monitor`: hear a broker's events and keep what they mean."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.commands.options import (
    KEEPING,
    LOGS,
    SOURCE,
    STORE,
    log_to_stderr,
    options,
    settings_of,
)


@click.command()
@options(SOURCE, STORE, KEEPING, LOGS)
def monitor(log_level: str, **given: Any) -> None:
    """Hear Celery's events and keep what they mean in the store.

    Several may run at once: what one misses, the other hears. With
    --durable-events those that share a queue take turns, and RabbitMQ keeps
    the events while none of them reads.
    """
    from herald_monitor import daemon

    log_to_stderr(log_level)
    asyncio.run(daemon.monitor(settings_of(**given)))
