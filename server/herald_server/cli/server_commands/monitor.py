"""`herald monitor`: receive Celery's events and store them."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from herald_server.cli.server_options import (
    ENVIRONMENT_OPTION,
    EVENT_QUEUE_OPTIONS,
    LOG_OPTIONS,
    SOURCE_OPTIONS,
    STORE_OPTIONS,
    combine_options,
)
from herald_server.wiring.environments.definitions import find_environment
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.settings import make_settings


@click.command()
@combine_options(
    SOURCE_OPTIONS, STORE_OPTIONS, EVENT_QUEUE_OPTIONS, LOG_OPTIONS, ENVIRONMENT_OPTION
)
def monitor(log_level: str, environment: str | None, **given: Any) -> None:
    """Receive Celery's events and store their meaning.

    Several monitors may run at once: one receives what another misses. With
    --durable-events those that share a queue take turns, and RabbitMQ stores
    the events while none of them reads.
    """
    from herald_monitor.runtime import daemon

    log_to_stderr(log_level)
    settings = find_environment(make_settings(**given), environment)
    asyncio.run(daemon.run_monitor(settings))
