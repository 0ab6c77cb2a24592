"""What each process that serves an app needs: the app, and when to stop.

Apart from the monitor itself, which a server does not import.
"""

from __future__ import annotations

import asyncio
import signal

from celery import Celery

from herald_core.errors import InvalidInput
from herald_core.settings import MonitorSettings
from herald_monitor.celery_client.app.celery_app import load_app, make_app


def load_celery_app(settings: MonitorSettings) -> Celery:
    """Return the app to monitor: `-A`, or made from the URLs. Raises `HeraldError`."""
    if settings.app:
        return load_app(settings.app)
    if settings.broker_url:
        return make_app(
            settings.broker_url,
            settings.result_backend,
            transport=settings.transport_options,
            results=settings.backend_options,
            **settings.celery_settings,
        )
    raise InvalidInput(
        "no broker is known; give --broker URL (HERALD_BROKER_URL), or -A PROJECT"
    )


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second SIGINT stops at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            raise SystemExit(130)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop
