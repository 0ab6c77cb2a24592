"""Real servers and workers for tests: started here, and gone afterwards."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
import redis
from celery import Celery
from kombu import Connection

from herald_monitor.child_process import end, kill, spawn
from herald_monitor.embedded import EmbeddedStore
from tests.project import environment

ROOT = Path(__file__).parent.parent
AMQP_URL = os.environ.get("HERALD_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//")
REDIS7_URL = os.environ.get("HERALD_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")


def wait_until(
    predicate: Callable[[], object], timeout: float = 10.0, message: str = ""
) -> None:
    """Wait for `predicate` to become true; fail after `timeout` seconds."""
    given_up = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > given_up:
            pytest.fail(f"after {timeout} s still not: {message or predicate}")
        time.sleep(0.01)


def missing(what: str) -> None:
    """Skip the test for want of `what`; fail where everything must be there."""
    if os.environ.get("HERALD_TEST_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is not reachable, and HERALD_TEST_REQUIRE_ALL=1")
    pytest.skip(f"{what} is not reachable")


class PrivateValkey(EmbeddedStore):
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
        wait_until(lambda: self.pid is None, 5, "the server is dead")

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


@contextlib.contextmanager
def rabbitmq() -> Generator[str, None, None]:
    """Find RabbitMQ, in a virtual host of our own if we may make one."""
    with Connection(AMQP_URL, connect_timeout=2) as connection:
        try:
            cast(Any, connection).ensure_connection(max_retries=0)
        except Exception:
            missing(f"RabbitMQ ({AMQP_URL})")
    vhost = f"herald-test-{uuid4().hex[:12]}"
    if not _rabbitmqctl("add_vhost", vhost):
        yield AMQP_URL
        return
    try:
        user = urlsplit(AMQP_URL).username or "guest"
        _rabbitmqctl("set_permissions", "-p", vhost, user, ".*", ".*", ".*")
        yield urlunsplit(urlsplit(AMQP_URL)._replace(path=f"/{vhost}"))
    finally:
        _rabbitmqctl("delete_vhost", vhost)


def _rabbitmqctl(*words: str) -> bool:
    program = shutil.which("rabbitmqctl")
    local = urlsplit(AMQP_URL).hostname in ("127.0.0.1", "localhost")
    if not program or not local:
        return False
    done = subprocess.run(
        [program, "-q", *words], capture_output=True, timeout=20, check=False
    )
    return done.returncode == 0


class Worker:
    """A real `celery worker` of `tests/project.py` as a process of its own."""

    def __init__(
        self,
        app: Celery,
        log: Path,
        *,
        pool: str = "prefork",
        concurrency: int = 2,
        hostname: str | None = None,
        events: bool = True,
        extra: tuple[str, ...] = (),
    ) -> None:
        self.app = app
        self.log = log
        self.hostname = hostname or f"w{uuid4().hex[:6]}@test"
        self._words = [
            *(sys.executable, "-m", "celery", "-A", "tests.project", "worker"),
            *("-P", pool, "-c", str(concurrency), "-n", self.hostname),
            *("-l", "INFO", *(("-E",) if events else ()), *extra),
            # At its start a worker waits a second for other workers to greet it.
            "--without-mingle",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the worker's main process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers a ping."""
        env = {**os.environ, **environment(self.app), "PYTHONPATH": str(ROOT)}
        self._process = spawn(self._words, self.log, env=env)
        wait_until(self._answers, 30, f"{self.hostname} answers; see {self.log}")

    def stop(self, patience: float = 10.0) -> None:
        """Ask it to end warmly, and kill it if it does not."""
        if self._process is not None:
            end(self._process, patience)
            # Children of a pool that outlived it.
            kill(self._process)

    def kill(self) -> None:
        """Kill it and its pool, without a goodbye."""
        assert self._process is not None
        kill(self._process)

    def close(self) -> None:
        """Kill it, if it was started; a warm shutdown takes seconds."""
        if self._process is not None:
            kill(self._process)

    def _answers(self) -> bool:
        if not self.alive:
            pytest.fail(f"the worker ended: {self.log.read_text()[-2000:]}")
        try:
            control = cast(Any, self.app).control
            return bool(control.ping(destination=[self.hostname], timeout=0.5))
        except Exception:  # the broker may be on its way up
            return False
