"""Where the store's Redis is: fixed, or as Sentinel or a cluster say at the moment.

    redis://HOST:PORT/DB                        one server (rediss: with TLS)
    redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB  whom the sentinels call the primary
    redis+cluster://HOST:PORT,HOST:PORT         the node that owns the partition's slot

User, password and query (`?ssl_ca_certs=…`) are those of the server itself; with
`rediss+…` it, the sentinels and the seeds are reached by TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import redis.asyncio as redis
from redis import exceptions

from herald_monitor.errors import StoreUnfit, StoreUnreachable
from herald_monitor.partitions import slot_of

SENTINEL_PORT = 26_379
CLUSTER_PORT = 6_379

ASKED_FOR = 2.0
"""Seconds for which one sentinel or seed is asked."""


class Address(Protocol):
    """Where a Redis is. `moves`: it may be elsewhere the next time."""

    moves: bool

    async def find(self) -> str:
        """Return the URL of the server. Raises `StoreUnreachable`."""
        ...


class Fixed:
    """One server that stays where it is."""

    moves = False

    def __init__(self, url: str) -> None:
        self._url = url

    async def find(self) -> str:
        """Return its URL."""
        return self._url


class _Many:
    """Several servers of which any may be asked where the one is."""

    moves = True

    def __init__(self, url: str, port: int) -> None:
        parts = urlsplit(url)
        login, at, hosts = parts.netloc.rpartition("@")
        self._login = login + at
        self._scheme = parts.scheme.partition("+")[0]
        self._query = f"?{parts.query}" if parts.query else ""
        self._asked = [_host_and_port(one, port) for one in hosts.split(",") if one]
        self._path = [part for part in parts.path.split("/") if part]
        if not self._asked or self._scheme not in ("redis", "rediss"):
            raise StoreUnfit(
                "the store's URL names no server; write "
                "redis+sentinel://HOST:26379,HOST:26379/NAME or "
                "redis+cluster://HOST:6379,HOST:6379"
            )

    def _url(self, host: str, port: int, path: str = "") -> str:
        host = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{self._login}{host}:{port}{path}{self._query}"

    async def _ask(self, url: str, *words: str) -> Any:
        client = redis.Redis.from_url(
            url, socket_timeout=ASKED_FOR, socket_connect_timeout=ASKED_FOR, protocol=2
        )
        try:
            return await cast(Any, client).execute_command(*words)
        finally:
            await client.aclose()


class OfSentinel(_Many):
    """The primary of a name, as sentinels know it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, SENTINEL_PORT)
        if not self._path:
            raise StoreUnfit(
                "the store's URL names no primary; write "
                "redis+sentinel://HOST:26379/NAME, such as …/mymaster"
            )
        self._name, *rest = self._path
        self._db = f"/{rest[0]}" if rest else "/0"

    async def find(self) -> str:
        """Return the URL of the primary. Raises `StoreUnreachable`."""
        why = ""
        for host, port in self._asked:
            try:
                found = await self._ask(
                    # Sentinels have users of their own; the login is the server's.
                    f"{self._scheme}://{_bracketed(host)}:{port}{self._query}",
                    *("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name),
                )
            except (exceptions.RedisError, OSError) as error:
                why = str(error)
                continue
            if found:
                return self._url(found[0].decode(), int(found[1]), self._db)
            why = f"it knows no primary {self._name!r}"
        raise StoreUnreachable(
            f"no sentinel of the store says where {self._name!r} is ({why}); "
            "see HERALD_STORE_URL"
        )


class OwnerOfSlot(_Many):
    """The node of a cluster that owns the slot of `prefix`."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, CLUSTER_PORT)
        self._slot = slot_of(prefix)
        self._known: list[tuple[str, int]] = []

    async def find(self) -> str:
        """Return the URL of the owner. Raises `StoreUnreachable`."""
        why = ""
        for host, port in dict.fromkeys((*self._known, *self._asked)):
            try:
                ranges = await self._ask(self._url(host, port), "CLUSTER", "SLOTS")
            except (exceptions.RedisError, OSError) as error:
                why = str(error)
                continue
            self._known = [_node(one[2], host) for one in ranges] or self._known
            for low, high, owner, *_ in ranges:
                if int(low) <= self._slot <= int(high):
                    return self._url(*_node(owner, host))
            why = f"nobody owns slot {self._slot}"
        raise StoreUnreachable(
            f"no node of the store's cluster says who owns slot {self._slot} ({why}); "
            "see CLUSTER INFO and HERALD_STORE_URL"
        )


def address_of(url: str, prefix: str) -> Address:
    """Return where the Redis of `url` is, that keeps keys below `prefix`.

    Raises `StoreUnfit` for a URL that cannot be read.
    """
    scheme = urlsplit(url).scheme
    if scheme.endswith("+sentinel"):
        return OfSentinel(url)
    if scheme.endswith("+cluster"):
        return OwnerOfSlot(url, prefix)
    return Fixed(url)


def _host_and_port(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        return parts.hostname or "127.0.0.1", parts.port or port
    except ValueError as error:
        raise StoreUnfit(
            f"{text!r} in the store's URL is no HOST:PORT ({error})"
        ) from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _node(told: Sequence[Any], asked: str) -> tuple[str, int]:
    """Return host and port of a node; without a host it is the one that was asked."""
    host = told[0].decode() if told[0] else ""
    return host or asked, int(told[1])
