"""No other user of the machine reads or writes an embedded store."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from herald_core.store.embedded import OWN_FILES, EmbeddedValkey, EmbeddedValkeyError
from herald_core.system.private_files import make_private_directory, write_private
from herald_core.system.subprocesses import spawn, terminate

STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
line = socket.socket()
line.connect(("127.0.0.1", int(sys.argv[1])))
line.sendall(b"SET stolen 1\\r\\nKEYS *\\r\\nCONFIG GET requirepass\\r\\nQUIT\\r\\n")
print(b"".join(iter(lambda: line.recv(65536), b"")).decode())
for place in sys.argv[2:]:
    try:
        print("read", open(place, "rb").read())
    except OSError as error:
        print(type(error).__name__, os.strerror(error.errno))
"""


def shared(place: Path) -> Iterator[tuple[Path, str]]:
    """Yield what is open to others at and below `place`, and how."""
    for path in (place, *place.rglob("*")):
        if path.stat().st_mode & 0o077:
            yield path, stat.filemode(path.stat().st_mode)


def test_who_gives_no_password_is_refused() -> None:
    once = Retry(NoBackoff(), 0)
    with (
        EmbeddedValkey() as store,
        redis.Redis(port=store.port, retry=once) as stranger,
    ):
        for words in (["GET", "a"], ["SET", "a", "1"], ["FLUSHALL"], ["INFO"]):
            with pytest.raises(redis.AuthenticationError):
                cast(Any, stranger).execute_command(*words)


def test_each_store_has_a_password_of_its_own() -> None:
    assert EmbeddedValkey().password != EmbeddedValkey().password
    assert len(EmbeddedValkey().password) >= 32


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
def test_another_user_can_neither_read_nor_write() -> None:
    with (
        tempfile.TemporaryDirectory() as public,
        EmbeddedValkey(Path(public) / "store") as store,
        redis.Redis.from_url(store.url) as client,
    ):
        Path(public).chmod(0o755)
        place = Path(public) / "store"
        client.set("secret-key", "1", ex=60)
        files = [str(place / name) for name in ("valkey.conf", "valkey.log")]
        words = [sys.executable, "-c", STRANGER, str(store.port), *files]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert client.get("stolen") is None
    assert said.count("-NOAUTH") == 3
    assert said.count("PermissionError") == 2
    assert "secret-key" not in said


def test_all_that_it_writes_is_private(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    before = os.umask(0o022)
    try:
        with EmbeddedValkey(place) as store, redis.Redis.from_url(store.url) as client:
            client.set("key", "1", ex=60)
            assert (place / "appendonlydir").is_dir()
            assert not list(shared(tmp_path / "a"))
    finally:
        os.umask(before)


def test_a_directory_of_an_older_version_becomes_private(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir(mode=0o755)
    for name in ("valkey.log", "address", "appendonlydir/appendonly.aof.1.incr.aof"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    make_private_directory(tmp_path, OWN_FILES)
    # What is in a closed directory is closed.
    assert {path.name for path, _ in shared(tmp_path)} <= {"appendonly.aof.1.incr.aof"}


def test_a_directory_with_files_of_others_stays_open_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "valkey.log").write_text("")
    (tmp_path / "valkey.log").chmod(0o644)
    tmp_path.chmod(0o777)
    make_private_directory(tmp_path, OWN_FILES)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o777
    assert stat.S_IMODE((tmp_path / "valkey.log").stat().st_mode) == 0o600
    assert "chmod go-w" in caplog.text


def test_a_file_with_a_secret_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("")
    (tmp_path / "address").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="address"):
        write_private(tmp_path / "address", "secret")
    assert (tmp_path / "theirs").read_text() == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux' /proc")
def test_no_command_line_shows_the_password() -> None:
    with EmbeddedValkey() as store:
        shown = Path(f"/proc/{store.pid}/cmdline").read_bytes()
        assert b"valkey" in shown
        assert store.password.encode() not in shown


def test_a_program_on_its_port_is_not_told_the_password() -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0.5)

        def listen() -> None:
            while True:
                try:
                    line, _ = taken.accept()
                except OSError:
                    return
                with line:
                    heard.append(line.recv(1000))

        listener = threading.Thread(target=listen)
        listener.start()
        with pytest.raises(EmbeddedValkeyError, match="ended while starting"):
            EmbeddedValkey(port=taken.getsockname()[1]).start()
        listener.join()
    assert not heard


def test_logs_of_children_are_private(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("")
    log.chmod(0o644)
    terminate(spawn([sys.executable, "-c", "print(1)"], log), 5)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
