"""What is stored of bulk orders: the order, its selected ids, its progress.

The progress is a sequence of numbered items of which each can be stored once. A process
that was replaced, and did not notice yet, fails to store its next one; and it stores
the intent before it sends anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from herald_core.errors import HeraldError
from herald_core.model.codec import to_json
from herald_core.store.key_value import KeyValueStore
from herald_server.control.bulk.order import KEEP_S, BulkOrder
from herald_server.control.bulk.progress import OrderProgress

ORDER_KIND: Final = "bulk"
OPEN_KIND: Final = "bulk-open"
STOP_KIND: Final = "bulk-stop"
IDS_KIND: Final = "bulk-ids"
PROGRESS_KIND: Final = "bulk-progress"
POINTER_KIND: Final = "bulk-at"

IDS_PER_ITEM: Final = 1_000
REPLACED: Final = b"-"
"""What is stored for a progress that is not the newest."""

_ids_decoder = msgspec.json.Decoder(tuple[str, ...])
_order_decoder = msgspec.json.Decoder(BulkOrder)
_progress_decoder = msgspec.json.Decoder(OrderProgress)


class OrderTakenOver(HeraldError):
    """Another process stored the next progress of this order."""


class OrderJournal:
    """Stores bulk orders for all processes of a store. Raises `StoreError`."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    async def create(self, order: BulkOrder, ids: Sequence[str]) -> bool:
        """Store a confirmed order and its `ids`; return False if it is stored.

        The order is open, and thus carried out, once all of it is stored.
        """
        for start in range(0, len(ids), IDS_PER_ITEM):
            part = to_json(ids[start : start + IDS_PER_ITEM])
            await self._store.put_item(IDS_KIND, f"{order.id}/{start}", part, KEEP_S)
        text = to_json(order)
        if not await self._store.put_item(ORDER_KIND, order.id, text, KEEP_S, new=True):
            return False
        await self._store.put_item(OPEN_KIND, order.id, b"1", KEEP_S)
        return True

    async def read_order(self, order_id: str) -> BulkOrder | None:
        """Return an order; None if none of that id is stored."""
        text = await self._store.get_item(ORDER_KIND, order_id)
        return None if text is None else _order_decoder.decode(text)

    async def list_orders(self) -> list[BulkOrder]:
        """Return the stored orders, newest first."""
        texts = await self._store.get_items(ORDER_KIND)
        orders = [_order_decoder.decode(text) for text in texts.values()]
        return sorted(orders, key=lambda one: one.created_at, reverse=True)

    async def list_open(self) -> list[str]:
        """Return the ids of the orders that have not ended, the oldest first."""
        return await self._store.list_items(OPEN_KIND)

    async def read_ids(self, order: BulkOrder, start: int, size: int) -> list[str]:
        """Return up to `size` selected ids from the position `start` on."""
        found: list[str] = []
        end = min(start + size, order.count)
        for part in range(start // IDS_PER_ITEM * IDS_PER_ITEM, end, IDS_PER_ITEM):
            text = await self._store.get_item(IDS_KIND, f"{order.id}/{part}")
            ids = () if text is None else _ids_decoder.decode(text)
            found += ids[max(start - part, 0) : end - part]
        return found

    # -- progress --------------------------------------------------------------------

    async def read_progress(self, order_id: str) -> OrderProgress:
        """Return the newest progress of an order."""
        at = await self._store.get_item(POINTER_KIND, order_id)
        number, newest = int(at or 1), OrderProgress()
        # The pointer is stored after the progress, and may be behind.
        while text := await self._store.get_item(_make_kind(order_id), str(number)):
            if text != REPLACED:
                newest = _progress_decoder.decode(text)
            number += 1
        return newest

    async def store_progress(
        self, order_id: str, progress: OrderProgress
    ) -> OrderProgress:
        """Store `progress` as the next one, and return it with its number.

        Its owner must be this process. Raises `OrderTakenOver` if another process
        stored the next one.
        """
        kind, number = _make_kind(order_id), progress.number + 1
        stored = msgspec.structs.replace(progress, number=number)
        if not await self._store.put_item(
            kind, str(number), to_json(stored), KEEP_S, new=True
        ):
            raise OrderTakenOver(f"another process carries out the order {order_id}")
        at = str(number).encode()
        await self._store.put_item(POINTER_KIND, order_id, at, KEEP_S)
        # It stays in its place: no process can store another one of this number.
        if progress.number:
            await self._store.put_item(kind, str(progress.number), REPLACED, KEEP_S)
        return stored

    async def require_open(self, order_id: str) -> None:
        """Raise `OrderTakenOver` if the order has ended."""
        if await self._store.get_item(OPEN_KIND, order_id) is None:
            raise OrderTakenOver(f"another process has ended the order {order_id}")

    # -- requests --------------------------------------------------------------------

    async def request_stop(self, order_id: str, who: str) -> None:
        """Store that `who` stops an order."""
        await self._store.put_item(STOP_KIND, order_id, who.encode(), KEEP_S)

    async def read_stop(self, order_id: str) -> str | None:
        """Return who stopped an order; None if nobody did."""
        who = await self._store.get_item(STOP_KIND, order_id)
        return None if who is None else who.decode()

    async def close(self, order: BulkOrder, progress: OrderProgress) -> None:
        """Store that an order has ended, and delete all but its last progress."""
        await self._store.delete_item(OPEN_KIND, order.id)
        for number in range(progress.number):
            await self._store.delete_item(_make_kind(order.id), str(number))
        for start in range(0, order.count, IDS_PER_ITEM):
            await self._store.delete_item(IDS_KIND, f"{order.id}/{start}")

    async def discard(self, order_id: str) -> None:
        """Close an order of which nothing is stored any more."""
        await self._store.delete_item(OPEN_KIND, order_id)


def _make_kind(order_id: str) -> str:
    return f"{PROGRESS_KIND}.{order_id}"
