"""Publish the catalog's queue names to the monitors, which cannot know
them otherwise."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from herald_core.errors import StoreError
from herald_core.model.workers.queue import CATALOG_KIND
from herald_core.store.ports import Store
from herald_server.catalog.catalog import Catalog

log = logging.getLogger(__name__)

INTERVAL_S = 600.0


async def publish_queue_names(store: Store, catalog: Catalog, node: str) -> None:
    """Keep the catalog's queue names in the store until cancelled."""
    names = catalog.queue_names
    while names:
        try:
            await store.put_item(
                CATALOG_KIND, node, msgspec.json.encode(names), 3 * INTERVAL_S
            )
        except StoreError as error:
            log.debug("the catalog's queues could not be named: %s", error)
        await asyncio.sleep(INTERVAL_S)
