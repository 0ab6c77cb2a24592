"""The store on Redis (7.0 and later) or Valkey (8 and later)."""

from __future__ import annotations

from herald_monitor.errors import StoreUnfit
from herald_monitor.model.keys import DEFAULT_APART, DEFAULT_PREFIX, Apart, Keys
from herald_monitor.model.workers import FORGET_AFTER
from herald_monitor.redis_link import PATIENCE, Link
from herald_monitor.redis_log import RedisLog
from herald_monitor.redis_minutes import RedisMinutes
from herald_monitor.redis_notes import RedisNotes
from herald_monitor.redis_reader import RedisReader
from herald_monitor.redis_script import Bounds
from herald_monitor.redis_writer import CACHED, STEP, RedisWriter
from herald_monitor.store import Memory

RETENTION = 86_400.0
KEEP_UNFINISHED = 7 * 86_400.0
LOG_LENGTH = 10_000
LOG_BYTES = 128 * 1024 * 1024


class RedisStore(RedisWriter, RedisReader, RedisMinutes, RedisLog, RedisNotes):
    """Writer, Reader, Log and Notes on the Redis at `url`.

    `retention` and `keep_unfinished` are the seconds that a task is kept after
    its last change, once it is final and as long as it is not. The log keeps
    `log_length` entries, and no more than `log_bytes` of them. `patience` is how
    long Redis may take to answer, in seconds; `step` is how many changes one script
    stores. A worker that is gone is kept for `forget_workers` seconds after its last
    sign of life. So many names, workers, queues and tags as `apart` says are indexed
    apart at a time, and the others together. Stores of different `prefix` know nothing
    of each other. `part`: which partition of several this is.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        retention: float = RETENTION,
        keep_unfinished: float = KEEP_UNFINISHED,
        log_length: int = LOG_LENGTH,
        log_bytes: int = LOG_BYTES,
        cached: int = CACHED,
        patience: float = PATIENCE,
        step: int = STEP,
        part: int | None = None,
        forget_workers: float = FORGET_AFTER,
        apart: Apart = DEFAULT_APART,
    ) -> None:
        link, keys = Link(url, patience=patience, prefix=prefix), Keys(prefix)
        bounds = Bounds(
            retention,
            keep_unfinished,
            log_length,
            log_bytes,
            forget_workers,
            apart=apart,
        )
        RedisWriter.__init__(self, link, keys, bounds, cached=cached, step=step)
        RedisReader.__init__(self, link, keys)
        RedisMinutes.__init__(self, link, keys)
        RedisLog.__init__(self, link, keys, part)
        RedisNotes.__init__(self, link, keys)
        self._link = link
        self.warnings: list[str] = []
        """What should be changed in the server, known once the store is open."""

    async def open(self) -> None:
        """Connect and check that the server is fit.

        Raises `StoreUnreachable`, or `StoreUnfit` for its version or role.
        """
        await self._link.open()
        try:
            about = _parsed(await self._link.call("INFO"))
            check_fit(about, self._link.name, self._link.clustered)
        except BaseException:
            await self._link.close()
            raise
        self.warnings = warnings(about, self._link.name)

    async def memory(self) -> list[Memory]:
        """Return the server, and how full it is. Raises `StoreUnreachable`."""
        about = _parsed(await self._link.call("INFO"))
        most = int(about.get("maxmemory", 0))
        return [
            Memory(
                id=about.get("run_id", ""),
                name=self._link.name,
                server=" ".join(server_of(about)),
                used=int(about.get("used_memory", 0)),
                most=most or None,
                policy=about.get("maxmemory_policy", ""),
            )
        ]

    async def close(self) -> None:
        """Let go of all connections."""
        await self._link.close()


def _parsed(told: bytes) -> dict[str, str]:
    lines = told.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def server_of(about: dict[str, str]) -> tuple[str, str]:
    """Return the kind and version of the server that says `about`."""
    valkey = about.get("valkey_version")
    return ("Valkey", valkey) if valkey else ("Redis", about.get("redis_version", ""))


def check_fit(about: dict[str, str], name: str, clustered: bool = False) -> None:
    """Raise `StoreUnfit` if the server that says `about` cannot be the store."""
    kind, version = server_of(about)
    least = 8 if kind == "Valkey" else 7
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < least:
        raise StoreUnfit(
            f"the store at {name} is {kind} {version or 'of an unknown version'}; "
            "Herald needs Redis 7.0 or Valkey 8.0, or later"
        )
    if about.get("role") != "master":
        raise StoreUnfit(
            f"the store at {name} is a replica; point HERALD_STORE_URL at the primary"
        )
    if (about.get("cluster_enabled") == "1") != clustered:
        raise StoreUnfit(
            f"the store at {name} is {'no' if clustered else 'a'} node of a cluster; "
            f"write redis{'' if clustered else '+cluster'}://HOST:PORT"
        )


def warnings(about: dict[str, str], name: str) -> list[str]:
    """Return what should be changed in the server that says `about`, as sentences."""
    policy = about.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return []
    return [
        f"the store at {name} throws records away when its memory is full "
        f"(maxmemory-policy {policy}); run CONFIG SET maxmemory-policy noeviction"
    ]
