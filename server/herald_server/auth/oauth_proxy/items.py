"""What FastMCP keeps of clients and their tokens, in the store of this server.

All processes with one store and one secret share it, and it outlives them. It is
encrypted: the store, or its backup, reveals no token of a provider.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat

import msgspec

from herald_core.errors import InvalidInput
from herald_core.store.key_value import KeyValueStore
from herald_server.auth.sso.cookies import SsoCipher

KIND_PREFIX = "oauth-"
DEFAULT_COLLECTION = "other"

UNUSED_TTL_S = 7 * 86_400.0
"""Seconds for which something is kept that has no end of its own, such as a client:
anybody may register one. What is used is kept longer (`keep`)."""

MAX_VALUE_BYTES = 1 << 16
MAX_UNUSED = 10_000
"""Items of a collection that have no end of their own and were not used yet; the
oldest ones are dropped, so that nobody can keep others from registering."""

UNUSED = "-unused"
"""Suffix of the kind that counts them."""


class ProxyItem(msgspec.Struct, frozen=True):
    """An item: its value, and its end in unix seconds."""

    value: dict[str, Any]
    until: float


class ProxyItems:
    """The key-value protocol of `py-key-value-aio` over the port of small items.

    Methods raise `StoreError`. `clock` returns unix seconds.
    """

    def __init__(
        self,
        store: KeyValueStore,
        cipher: SsoCipher,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._clock = clock

    async def get(
        self, key: str, *, collection: str | None = None
    ) -> dict[str, Any] | None:
        """Return a value; None if there is none (any more)."""
        return (await self.ttl(key, collection=collection))[0]

    async def ttl(
        self, key: str, *, collection: str | None = None
    ) -> tuple[dict[str, Any] | None, float | None]:
        """Return a value and the seconds until its end; (None, None) without one."""
        kind = _name_kind(collection)
        sealed = await self._store.get_item(kind, key)
        text = sealed and self._cipher.decrypt(sealed.decode(), f"{kind}/{key}")
        if not text:
            return None, None
        entry = msgspec.json.decode(text, type=ProxyItem)
        left = entry.until - self._clock()
        return (entry.value, left) if left > 0 else (None, None)

    async def put(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store a value for `ttl` seconds, without them until it is used, or a week.

        Raises `InvalidInput` if it is too large.
        """
        kind = _name_kind(collection)
        if ttl is None:
            await self._drop_oldest_unused(kind)
            await self._store.put_item(kind + UNUSED, key, b"1", UNUSED_TTL_S)
        seconds = UNUSED_TTL_S if ttl is None else float(ttl)
        entry = ProxyItem(dict(value), self._clock() + seconds)
        text = msgspec.json.encode(entry)
        if len(text) > MAX_VALUE_BYTES:
            raise InvalidInput(f"this is larger than {MAX_VALUE_BYTES} bytes")
        sealed = self._cipher.encrypt(text, f"{kind}/{key}").encode()
        await self._store.put_item(kind, key, sealed, seconds)

    async def keep(self, key: str, collection: str, seconds: float) -> None:
        """Keep a value for `seconds` from now, if it is there: it is used."""
        value = await self.get(key, collection=collection)
        if value is not None:
            await self.put(key, value, collection=collection, ttl=seconds)
            await self._store.delete_item(_name_kind(collection) + UNUSED, key)

    async def _drop_oldest_unused(self, kind: str) -> None:
        unused = await self._store.list_items(kind + UNUSED)
        for key in unused[: max(len(unused) - MAX_UNUSED + 1, 0)]:
            await self._store.delete_item(kind + UNUSED, key)
            await self._store.delete_item(kind, key)

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Delete a value; return True if there was one."""
        kind = _name_kind(collection)
        is_there = await self._store.get_item(kind, key) is not None
        await self._store.delete_item(kind, key)
        return is_there

    async def get_many(
        self, keys: Sequence[str], *, collection: str | None = None
    ) -> list[dict[str, Any] | None]:
        """Return values in the order of `keys`."""
        return [await self.get(key, collection=collection) for key in keys]

    async def ttl_many(
        self, keys: Sequence[str], *, collection: str | None = None
    ) -> list[tuple[dict[str, Any] | None, float | None]]:
        """Return values and the seconds until their ends."""
        return [await self.ttl(key, collection=collection) for key in keys]

    async def put_many(
        self,
        keys: Sequence[str],
        values: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store values for `ttl` seconds each."""
        for key, value in zip(keys, values, strict=True):
            await self.put(key, value, collection=collection, ttl=ttl)

    async def delete_many(
        self, keys: Sequence[str], *, collection: str | None = None
    ) -> int:
        """Delete values; return how many there were."""
        return sum([await self.delete(key, collection=collection) for key in keys])


def _name_kind(collection: str | None) -> str:
    return KIND_PREFIX + (collection or DEFAULT_COLLECTION)
