"""Tells monitors of the queues that the catalog names: nobody else may know them."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.model.queues import NAMED
from herald_monitor.store import Store
from herald_server.catalog import Catalog

log = logging.getLogger(__name__)

EVERY = 600.0


async def name_queues(store: Store, catalog: Catalog, node: str) -> None:
    """Keep a note of the catalog's queues in the store, until cancelled."""
    names = catalog.queue_names
    while names:
        try:
            await store.put_note(NAMED, node, msgspec.json.encode(names), 3 * EVERY)
        except StoreError as error:
            log.debug("the catalog's queues could not be named: %s", error)
        await asyncio.sleep(EVERY)
