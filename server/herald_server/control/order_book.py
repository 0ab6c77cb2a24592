"""Orders as documents: stored, and pushed to who watches the topic `orders`."""

from __future__ import annotations

import logging
import time

import msgspec

from herald_core.errors import StoreError
from herald_core.model.documents import replace_with
from herald_core.model.orders import (
    ORDER_KIND,
    ORDER_TTL_S,
    Order,
    from_document_data,
    to_document_data,
)
from herald_core.store.documents import DocumentStore

log = logging.getLogger(__name__)


class OrderBook:
    """The orders in a store."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    async def save(self, order: Order) -> None:
        """Store `order` and publish it. Raises `StoreError`."""
        update = replace_with(to_document_data(order))
        await self._documents.update_documents(
            ORDER_KIND, {order.id: update}, now=time.time(), seconds=ORDER_TTL_S
        )

    async def try_save(self, order: Order) -> None:
        """Store `order` if the store takes it: what was ordered goes on without."""
        try:
            await self.save(order)
        except StoreError as error:
            log.warning("the order %s is not stored: %s", order.id, error)

    async def list_orders(self) -> list[Order]:
        """Return the orders, newest first. Raises `StoreError`."""
        found = [
            order
            for one in await self._documents.list_documents(ORDER_KIND)
            if (order := _read_order(one.id, one.data)) is not None
        ]
        return sorted(found, key=lambda one: one.requested_at, reverse=True)

    async def find(self, order_id: str) -> Order | None:
        """Return the order of an id; None if it is unknown. Raises `StoreError`."""
        orders = await self.list_orders()
        return next((one for one in orders if one.id == order_id), None)


def _read_order(id_: str, data: dict[str, object]) -> Order | None:
    try:
        return from_document_data(id_, data)
    except msgspec.ValidationError as error:
        log.warning("the order %s cannot be read: %s", id_, error)
        return None
