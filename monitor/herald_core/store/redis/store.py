"""The store on Redis (7.0 and later) or Valkey (8 and later)."""

from __future__ import annotations

from herald_core.errors import StoreUnsupported
from herald_core.model.index_limits import IndexLimits
from herald_core.model.queries.argument_index import ArgumentIndex
from herald_core.model.rollups.counter_delta import DEFAULT_COUNTER_RULES, CounterRules
from herald_core.model.workers.worker import FORGET_AFTER_S
from herald_core.settings import DEFAULT_PREFIX
from herald_core.store.redis.change_log import RedisChangeLog
from herald_core.store.redis.connection.client import REDIS_TIMEOUT_S, RedisClient
from herald_core.store.redis.key_value import RedisKeyValueStore
from herald_core.store.redis.keys import DEFAULT_INDEX_LIMITS, RedisKeys
from herald_core.store.redis.reader import RedisReader
from herald_core.store.redis.rollups import RedisRollups
from herald_core.store.redis.store_script import Retention
from herald_core.store.redis.writer import MAX_CACHED_RECORDS, SCRIPT_BATCH, RedisWriter
from herald_core.store.types import ServerMemory

RETENTION_S = 86_400.0
KEEP_UNFINISHED_S = 7 * 86_400.0
LOG_ENTRIES = 10_000
LOG_BYTES = 128 * 1024 * 1024


class RedisStore(
    RedisWriter, RedisReader, RedisRollups, RedisChangeLog, RedisKeyValueStore
):
    """Writer, Reader, Log and KeyValueStore on the Redis at `url`.

    `retention` and `keep_unfinished` are the seconds after its last change until a
    final or unfinished task expires. The log holds at most `log_length` entries and
    `log_bytes` bytes. `patience` is the timeout of Redis in seconds; `step` is the
    maximum number of changes in one script call. A worker that is gone expires
    `forget_workers` seconds after its last sign of life. `apart` limits the names,
    workers, queues and tags with an index of their own. `index` are the arguments whose
    values become tags. `counters` says how events count for Prometheus. Stores of
    different `prefix`
    are separate. `part` is the number of this partition.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        retention: float = RETENTION_S,
        keep_unfinished: float = KEEP_UNFINISHED_S,
        log_length: int = LOG_ENTRIES,
        log_bytes: int = LOG_BYTES,
        cached: int = MAX_CACHED_RECORDS,
        patience: float = REDIS_TIMEOUT_S,
        step: int = SCRIPT_BATCH,
        part: int | None = None,
        forget_workers: float = FORGET_AFTER_S,
        apart: IndexLimits = DEFAULT_INDEX_LIMITS,
        index: ArgumentIndex | None = None,
        counters: CounterRules = DEFAULT_COUNTER_RULES,
    ) -> None:
        link, keys = (
            RedisClient(url, timeout_s=patience, prefix=prefix),
            RedisKeys(prefix),
        )
        bounds = Retention(
            retention,
            keep_unfinished,
            log_length,
            log_bytes,
            forget_workers,
            index_limits=apart,
            counters=counters,
        )
        RedisWriter.__init__(
            self, link, keys, bounds, cached=cached, step=step, index=index
        )
        RedisReader.__init__(self, link, keys)
        RedisRollups.__init__(self, link, keys)
        RedisChangeLog.__init__(self, link, keys, part)
        RedisKeyValueStore.__init__(self, link, keys)
        self._client = link
        self.warnings: list[str] = []
        """Recommended changes of the server's configuration, known once the store is
        open."""

    async def open(self) -> None:
        """Connect and check that the server is fit.

        Raises `StoreUnreachable`, or `StoreUnsupported` for its version or role.
        """
        await self._client.open()
        try:
            about = _parse_info(await self._client.execute("INFO"))
            check_supported(about, self._client.name, self._client.is_clustered)
        except BaseException:
            await self._client.close()
            raise
        self.warnings = list_warnings(about, self._client.name)

    async def read_server_memory(self) -> list[ServerMemory]:
        """Return the server, and how full it is. Raises `StoreUnreachable`."""
        about = _parse_info(await self._client.execute("INFO"))
        limit = int(about.get("maxmemory", 0))
        return [
            ServerMemory(
                id=about.get("run_id", ""),
                name=self._client.name,
                server=" ".join(parse_server(about)),
                used=int(about.get("used_memory", 0)),
                most=limit or None,
                policy=about.get("maxmemory_policy", ""),
            )
        ]

    async def close(self) -> None:
        """Close all connections."""
        await self._counters.close()
        await self._client.close()


def _parse_info(reply: bytes) -> dict[str, str]:
    lines = reply.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def parse_server(about: dict[str, str]) -> tuple[str, str]:
    """Return the kind and version of the server with the INFO `about`."""
    valkey = about.get("valkey_version")
    return ("Valkey", valkey) if valkey else ("Redis", about.get("redis_version", ""))


def check_supported(about: dict[str, str], name: str, clustered: bool = False) -> None:
    """Raise `StoreUnsupported` if a server with the INFO `about` is no valid store."""
    kind, version = parse_server(about)
    least = 8 if kind == "Valkey" else 7
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < least:
        raise StoreUnsupported(
            f"the store at {name} is {kind} {version or 'of an unknown version'}; "
            "Herald needs Redis 7.0 or Valkey 8.0, or later"
        )
    if about.get("role") != "master":
        raise StoreUnsupported(
            f"the store at {name} is a replica; point HERALD_STORE_URL at the primary"
        )
    if (about.get("cluster_enabled") == "1") != clustered:
        raise StoreUnsupported(
            f"the store at {name} is {'no' if clustered else 'a'} node of a cluster; "
            f"write redis{'' if clustered else '+cluster'}://HOST:PORT"
        )


def list_warnings(about: dict[str, str], name: str) -> list[str]:
    """Return recommended changes of the server with the INFO `about`, as sentences."""
    policy = about.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return []
    return [
        f"the store at {name} throws records away when its memory is full "
        f"(maxmemory-policy {policy}); run CONFIG SET maxmemory-policy noeviction"
    ]
