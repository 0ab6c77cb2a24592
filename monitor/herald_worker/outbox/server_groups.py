"""Servers that are several: a primary with its sentinels, and a cluster.

    redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB  the primary of the sentinels
    redis+cluster://HOST:PORT,HOST:PORT           the nodes of a cluster

User, password and query are those of the servers themselves; with `rediss+…` all use
TLS. Monitors read the same URLs.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import redis.connection
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

SENTINEL_PORT = 26_379
CLUSTER_PORT = 6_379

Seeds = list[tuple[str, int]]


def open_sentinel_client(url: str, options: dict[str, Any]) -> Any:
    """Return a client of the primary that the sentinels name."""
    parts = urlsplit(url)
    name, *rest = [part for part in parts.path.split("/") if part] or [""]
    seeds = _list_seeds(parts, SENTINEL_PORT)
    if not name or not seeds:
        raise ValueError("write redis+sentinel://HOST:26379/NAME, such as …/mymaster")
    server = _read_options(parts) | options | {"db": int(rest[0]) if rest else 0}
    # Sentinels have users of their own; the login is the server's.
    of_sentinels = {**options, "ssl": server.get("ssl", False)}
    sentinel = cast(Any, Sentinel)(seeds, sentinel_kwargs=of_sentinels)
    return sentinel.master_for(name, **server)


def open_cluster_client(url: str, options: dict[str, Any]) -> Any:
    """Return a client of a cluster; raise an error if no node answers."""
    parts = urlsplit(url)
    nodes = [cast(Any, ClusterNode)(*seed) for seed in _list_seeds(parts, CLUSTER_PORT)]
    return cast(Any, RedisCluster)(
        startup_nodes=nodes, **_read_options(parts), **options
    )


def _list_seeds(parts: SplitResult, port: int) -> Seeds:
    hosts = parts.netloc.rpartition("@")[2].split(",")
    split = [urlsplit(f"//{host}") for host in hosts if host]
    return [(one.hostname or "127.0.0.1", one.port or port) for one in split]


def _read_options(parts: SplitResult) -> dict[str, Any]:
    """Return what the URL says of each server: login, TLS, the query."""
    scheme = parts.scheme.partition("+")[0]
    login, at, _ = parts.netloc.rpartition("@")
    url = f"{scheme}://{login}{at}host/?{parts.query}"
    options = cast(dict[str, Any], cast(Any, redis.connection).parse_url(url))
    tls = {"ssl": True} if options.pop("connection_class", None) else {}
    return {name: options[name] for name in options if name != "host"} | tls
