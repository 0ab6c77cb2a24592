"""Makes what the doors of one server process share, and its work behind them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from celery import Celery

from herald_monitor.model.redaction import Redactor
from herald_monitor.store import Store
from herald_server.catalog import Catalog
from herald_server.config import ServerSettings
from herald_server.control import Control
from herald_server.feed import Feed
from herald_server.hub import Hub
from herald_server.repeating import Repeating
from herald_server.state import Shared
from herald_server.status import Status


def share(settings: ServerSettings, store: Store, app: Celery | None) -> Shared:
    """Return what all doors share. `app` is None where nothing can be sent."""
    hub = Hub()
    feed = Feed(store, hub)
    catalog = (
        Catalog.from_toml(settings.catalog) if settings.catalog else Catalog.shipped()
    )
    redact = Redactor(settings.redact)
    control = Control(app, store, hub, catalog, redact) if app else None
    node = settings.node or f"{socket.gethostname()}-{os.getpid()}"
    if settings.node and settings.workers > 1:
        node = f"{settings.node}-{os.getpid()}"
    return Shared(store, hub, feed, Status(store, feed), control, node)


@asynccontextmanager
async def working(shared: Shared) -> AsyncGenerator[None]:
    """Read the log, mind the status and repeat cancels while the block runs.

    Raises `StoreError` if the log's end cannot be had.
    """
    await shared.feed.start()
    running = [
        asyncio.create_task(shared.feed.run()),
        asyncio.create_task(shared.status.run()),
    ]
    if shared.control:
        running.append(asyncio.create_task(_repeating(shared, shared.control)))
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _repeating(shared: Shared, control: Control) -> None:
    """Tell workers that join of the cancels that are kept, until cancelled."""
    # Two processes may have the same name in a container; a lease has one owner.
    owner = f"{shared.node}-{uuid4().hex[:8]}"
    await Repeating(control.cancels, shared.store, shared.hub, owner).run()
