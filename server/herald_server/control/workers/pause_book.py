"""The pauses of queues in the store, and the mark that their queues show."""

from __future__ import annotations

import time

import msgspec

from herald_core.model.workers.queue_pause import (
    PAUSE_KIND,
    PAUSE_TTL_S,
    QueuePause,
    decode_pauses,
    encode_pause,
    find_mark,
)
from herald_core.store.ports import Store

RENEW_AFTER_S = 86_400.0
"""Seconds after which a pause is stored again, so that it does not expire."""


class PauseBook:
    """The pauses in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, queue: str) -> QueuePause | None:
        """Return the pause of `queue`; None if there is none. Raises `StoreError`."""
        item = await self._store.get_item(PAUSE_KIND, queue)
        return decode_pauses({queue: item} if item is not None else {}).get(queue)

    async def list_pauses(self) -> list[QueuePause]:
        """Return all pauses, those that end among them. Raises `StoreError`."""
        return list(decode_pauses(await self._store.get_items(PAUSE_KIND)).values())

    async def add(self, pause: QueuePause) -> bool:
        """Store a new pause; return False if the queue has one. Raises `StoreError`."""
        return await self._put(pause, new=True)

    async def save(self, pause: QueuePause) -> None:
        """Store `pause` as it is now. Raises `StoreError`."""
        await self._put(pause)

    async def _put(self, pause: QueuePause, *, new: bool = False) -> bool:
        stored = msgspec.structs.replace(pause, stored_at=time.time())
        text = encode_pause(stored)
        return await self._store.put_item(
            PAUSE_KIND, pause.queue, text, PAUSE_TTL_S, new=new
        )

    async def renew(self, pause: QueuePause, now: float) -> None:
        """Store `pause` again if that was long ago. Raises `StoreError`."""
        if now - pause.stored_at > RENEW_AFTER_S:
            await self.save(pause)

    async def delete(self, queue: str) -> None:
        """Delete the pause of `queue`. Raises `StoreError`."""
        await self._store.delete_item(PAUSE_KIND, queue)

    async def show(self, queue: str, pause: QueuePause | None) -> None:
        """Have the queue show its pause at once; monitors do so every 10 s.

        Raises `StoreError`.
        """
        queues = [one for one in await self._store.list_queues() if one.name == queue]
        shown = [
            msgspec.structs.replace(one, paused=find_mark(pause), rev=None)
            for one in queues
        ]
        if shown:
            await self._store.store_queues(shown, now=time.time())
