"""Valkey and Redis servers for tests, stopped afterwards."""

import contextlib
import fcntl
import hashlib
import os
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import redis

from herald_core.store.embedded import EmbeddedValkey
from tests.support.environment import missing
from tests.support.wait import wait_until

REDIS7_URL = os.environ.get("HERALD_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")


class PrivateValkey(EmbeddedValkey):
    """A Valkey of the test's own: store, broker and backend; anybody may use it."""

    def __init__(self, directory: Path | None = None, port: int = 0) -> None:
        super().__init__(directory, port, password="")

    def restart(self) -> None:
        """Stop it if it runs, and start it, empty, on the same port."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill it as the kernel would, without a goodbye."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals) -> None:
        """End it by a signal."""
        pid = self.pid
        assert pid is not None
        os.kill(pid, how)
        wait_until(lambda: self.pid is None, 30, "the server is dead")

    @contextlib.contextmanager
    def freeze(self) -> Generator[None, None, None]:
        """Let it answer nothing and refuse nothing for the length of the block."""
        pid = self.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def client(self) -> "redis.Redis":
        """Return a client; the caller closes it."""
        return redis.Redis.from_url(self.url)


@contextlib.contextmanager
def private_valkey() -> Generator[PrivateValkey, None, None]:
    """Run a Valkey for the length of the block."""
    server = PrivateValkey()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def redis7() -> Generator[str, None, None]:
    """Hold the shared Redis' test database, emptied, for ourselves.

    A lock on a file keeps other test processes of this machine out.
    """
    name = hashlib.sha256(REDIS7_URL.encode()).hexdigest()[:12]
    lock = Path(tempfile.gettempdir()) / f"herald-test-redis-{name}.lock"
    with lock.open("w") as held, redis.Redis.from_url(REDIS7_URL) as client:
        try:
            client.ping()
        except redis.RedisError:
            missing(f"Redis ({REDIS7_URL})")
        fcntl.flock(held, fcntl.LOCK_EX)
        client.flushdb()
        try:
            yield REDIS7_URL
        finally:
            client.flushdb()
