"""The address of the store's Redis: fixed, or found by Sentinel or in a cluster.

    redis://HOST:PORT/DB                        one server (rediss: with TLS)
    redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB  the primary of the sentinels
    redis+cluster://HOST:PORT,HOST:PORT         the node that owns the partition's slot

User, password and query (`?ssl_ca_certs=…`) are those of the server itself. With
`rediss+…` the server, the sentinels and the seeds use TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import redis.asyncio as redis
from redis import exceptions

from herald_core.errors import StoreUnreachable, StoreUnsupported
from herald_core.store.redis.cluster_slots import compute_slot

SENTINEL_PORT = 26_379
CLUSTER_PORT = 6_379

DISCOVERY_TIMEOUT_S = 2.0
"""Timeout in seconds of one sentinel or seed."""


class ServerDiscovery(Protocol):
    """The address of a Redis. `can_move`: it may change."""

    can_move: bool

    async def find(self) -> str:
        """Return the URL of the server. Raises `StoreUnreachable`."""
        ...


class StaticServer:
    """One server that stays where it is."""

    can_move = False

    def __init__(self, url: str) -> None:
        self._url = url

    async def find(self) -> str:
        """Return its URL."""
        return self._url


class _SeedNodes:
    """Several servers, any of which returns the address."""

    can_move = True

    def __init__(self, url: str, port: int) -> None:
        parts = urlsplit(url)
        login, at, hosts = parts.netloc.rpartition("@")
        self._login = login + at
        self._scheme = parts.scheme.partition("+")[0]
        self._query = f"?{parts.query}" if parts.query else ""
        self._seeds = [_parse_host_port(one, port) for one in hosts.split(",") if one]
        self._path = [part for part in parts.path.split("/") if part]
        if not self._seeds or self._scheme not in ("redis", "rediss"):
            raise StoreUnsupported(
                "the store's URL names no server; write "
                "redis+sentinel://HOST:26379,HOST:26379/NAME or "
                "redis+cluster://HOST:6379,HOST:6379"
            )

    def _make_url(self, host: str, port: int, path: str = "") -> str:
        host = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{self._login}{host}:{port}{path}{self._query}"

    async def _query_node(self, url: str, *words: str) -> Any:
        client = redis.Redis.from_url(
            url,
            socket_timeout=DISCOVERY_TIMEOUT_S,
            socket_connect_timeout=DISCOVERY_TIMEOUT_S,
            protocol=2,
        )
        try:
            return await cast(Any, client).execute_command(*words)
        finally:
            await client.aclose()


class SentinelDiscovery(_SeedNodes):
    """The primary of a name, as sentinels know it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, SENTINEL_PORT)
        if not self._path:
            raise StoreUnsupported(
                "the store's URL names no primary; write "
                "redis+sentinel://HOST:26379/NAME, such as …/mymaster"
            )
        self._name, *rest = self._path
        self._db = f"/{rest[0]}" if rest else "/0"

    async def find(self) -> str:
        """Return the URL of the primary. Raises `StoreUnreachable`."""
        why = ""
        for host, port in self._seeds:
            try:
                found = await self._query_node(
                    # Sentinels have users of their own; the login is the server's.
                    f"{self._scheme}://{_bracket_ipv6(host)}:{port}{self._query}",
                    *("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name),
                )
            except (exceptions.RedisError, OSError) as error:
                why = str(error)
                continue
            if found:
                return self._make_url(found[0].decode(), int(found[1]), self._db)
            why = f"it knows no primary {self._name!r}"
        raise StoreUnreachable(
            f"no sentinel of the store says where {self._name!r} is ({why}); "
            "see HERALD_STORE_URL"
        )


class ClusterDiscovery(_SeedNodes):
    """The node of a cluster that owns the slot of `prefix`."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, CLUSTER_PORT)
        self._slot = compute_slot(prefix)
        self._known_nodes: list[tuple[str, int]] = []

    async def find(self) -> str:
        """Return the URL of the owner. Raises `StoreUnreachable`."""
        why = ""
        for host, port in dict.fromkeys((*self._known_nodes, *self._seeds)):
            try:
                ranges = await self._query_node(
                    self._make_url(host, port), "CLUSTER", "SLOTS"
                )
            except (exceptions.RedisError, OSError) as error:
                why = str(error)
                continue
            self._known_nodes = [
                _parse_node(one[2], host) for one in ranges
            ] or self._known_nodes
            for low, high, owner, *_ in ranges:
                if int(low) <= self._slot <= int(high):
                    return self._make_url(*_parse_node(owner, host))
            why = f"no node owns slot {self._slot}"
        raise StoreUnreachable(
            f"no node of the store's cluster says who owns slot {self._slot} ({why}); "
            "see CLUSTER INFO and HERALD_STORE_URL"
        )


def make_discovery(url: str, prefix: str) -> ServerDiscovery:
    """Return the discovery for the Redis of `url`, with keys below `prefix`.

    Raises `StoreUnsupported` for an invalid URL.
    """
    scheme = urlsplit(url).scheme
    if scheme.endswith("+sentinel"):
        return SentinelDiscovery(url)
    if scheme.endswith("+cluster"):
        return ClusterDiscovery(url, prefix)
    return StaticServer(url)


def _parse_host_port(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        return parts.hostname or "127.0.0.1", parts.port or port
    except ValueError as error:
        raise StoreUnsupported(
            f"{text!r} in the store's URL is no HOST:PORT ({error})"
        ) from error


def _bracket_ipv6(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _parse_node(reply: Sequence[Any], queried_host: str) -> tuple[str, int]:
    """Return host and port of a node; without a host it is the queried one."""
    host = reply[0].decode() if reply[0] else ""
    return host or queried_host, int(reply[1])
