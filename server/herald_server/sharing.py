"""Makes what the doors of one server process share, and its work behind them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
from celery import Celery

from herald_monitor.backends import ResultBackend
from herald_monitor.model.redaction import Redactor
from herald_monitor.store import Store
from herald_server import caller
from herald_server.audit import Audit
from herald_server.backend_lookup import BackendLookup
from herald_server.catalog import Catalog
from herald_server.config import ServerSettings
from herald_server.consent import Consents
from herald_server.control import Control
from herald_server.cpu_budget import Accounts
from herald_server.feed import Feed
from herald_server.hub import Hub
from herald_server.limits import Tally
from herald_server.naming import name_queues
from herald_server.page_seal import PageSeal
from herald_server.permits import Permits
from herald_server.repeating import Repeating
from herald_server.seen import seen
from herald_server.signatures import types_of
from herald_server.state import Kept, Shared
from herald_server.status import Status
from herald_server.webhooks.address import Guard, networks
from herald_server.webhooks.desk import Desk
from herald_server.webhooks.toml import read_endpoints

FIRST_LOOK = 1.5
"""Seconds that workers have to say what they register before this server serves."""


def share(settings: ServerSettings, store: Store, app: Celery | None) -> Shared:
    """Return what all doors share. `app` is None where nothing can be sent."""
    hub = Hub()
    feed = Feed(store, hub)
    tally = Tally()
    catalog = catalog_of(settings, app)
    node = settings.node or f"{socket.gethostname()}-{os.getpid()}"
    if settings.node and settings.workers > 1:
        node = f"{settings.node}-{os.getpid()}"
    audit = Audit(store, settings.audit_log, node)
    permits = Permits(
        settings.starts_per_minute, settings.starts_per_minute_per_type, tally
    )
    redact = Redactor(settings.redact)
    consents = Consents(store, settings.confirm)
    control = None
    if app is not None:
        control = Control(app, store, hub, catalog, redact, permits, audit, consents)
    status = Status(store, feed)
    backend = ResultBackend(app, redact, caller.charge) if app else None
    lookup = BackendLookup(backend, lambda: status.staleness() is not None)
    return Shared(
        *(seen(store, lookup, _seal(settings)), hub, feed, status, control, node),
        tally=tally,
        accounts=_accounts(settings, tally),
        audit=audit,
        desk=_desk(settings, store, audit),
        backend=backend,
        kept=Kept(settings.retention, settings.keep_unfinished),
        types=catalog,
    )


def catalog_of(settings: ServerSettings, app: Celery | None) -> Catalog:
    """Return what the settings declare; without that, what `app` registers.

    Raises `CatalogError`.
    """
    path = settings.catalog
    catalog = Catalog.from_toml(path) if path else Catalog.undeclared()
    if app is not None and catalog.learns:
        catalog.learn(types_of(app))
    return catalog


def _accounts(settings: ServerSettings, tally: Tally) -> Accounts:
    return Accounts(
        settings.cpu_per_token,
        settings.cpu_per_address,
        settings.filter_values_per_token,
        tally,
    )


def _seal(settings: ServerSettings) -> PageSeal | None:
    secret = settings.signing_secret
    return PageSeal(secret) if secret else None


def _desk(settings: ServerSettings, store: Store, audit: Audit) -> Desk:
    standing = read_endpoints(settings.catalog) if settings.catalog else ()
    return Desk(store, Guard(networks(settings.webhooks_allow)), standing, audit)


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
        await shared.control.consents.open()
        running.append(asyncio.create_task(_repeating(shared, shared.control)))
        # Clients read once what there is to start.
        with anyio.move_on_after(FIRST_LOOK):
            await shared.control.registered.look()
        running.append(asyncio.create_task(shared.control.registered.run()))
        naming = name_queues(shared.store, shared.control.catalog, shared.node)
        running.append(asyncio.create_task(naming))
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if shared.backend:
            await shared.backend.close()


async def _repeating(shared: Shared, control: Control) -> None:
    """Tell workers that join of the cancels that are kept, until cancelled."""
    # Two processes may have the same name in a container; a lease has one owner.
    owner = f"{shared.node}-{uuid4().hex[:8]}"
    await Repeating(control.cancels, shared.store, shared.hub, owner).run()
