"""The embedded store starts, keeps or forgets, and dies with its parent."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import redis

from herald_core.store.embedded import (
    MALLOC_ENV,
    EmbeddedValkey,
    EmbeddedValkeyError,
)
from tests.support.wait import wait_until

PARENT = """
import sys, time
from herald_core.store.embedded import EmbeddedValkey
store = EmbeddedValkey()
store.start()
print(store.pid, flush=True)
time.sleep(60)
"""


def test_answers_and_is_set_up_for_a_store() -> None:
    with EmbeddedValkey() as store, redis.Redis.from_url(store.url) as client:
        assert client.ping()
        assert client.config_get("maxmemory-policy") == {
            "maxmemory-policy": "noeviction"
        }
        limits = client.config_get("client-output-buffer-limit")
        assert "pubsub 268435456 67108864 60" in str(limits)


def test_listens_on_this_machine_only() -> None:
    with EmbeddedValkey() as store, redis.Redis.from_url(store.url) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("own", [None, "glibc.malloc.tcache_count=1"])
def test_memory_is_kept_ready_unless_the_user_says_how(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if own is None:
        monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    else:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    with EmbeddedValkey() as store:
        # glibc itself parts the text of its settings there.
        environment = Path(f"/proc/{store.pid}/environ").read_text().replace("\0", ":")
    expected = f"GLIBC_TUNABLES={own or MALLOC_ENV['GLIBC_TUNABLES']}"
    assert f"{expected}:" in environment


def test_temporary_store_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with EmbeddedValkey() as store, redis.Redis.from_url(store.url) as client:
        client.set("key", "value", ex=60)
        written = {file.suffix for file in tmp_path.glob("*/*")}
        assert written == {".log", ".lock", ".conf"}
    assert not list(tmp_path.iterdir())


def test_directory_survives_a_restart(tmp_path: Path) -> None:
    place = tmp_path / "kept"
    with EmbeddedValkey(place) as store, redis.Redis.from_url(store.url) as client:
        client.set("key", "value", ex=60)
    with EmbeddedValkey(place) as store, redis.Redis.from_url(store.url) as client:
        assert client.get("key") == b"value"


def test_keeps_its_port_over_a_restart() -> None:
    with EmbeddedValkey() as store:
        port = store.port
        store.stop()
        store.start()
        assert store.port == port


def test_stops_quickly() -> None:
    with EmbeddedValkey() as store:
        began = time.monotonic()
        store.stop()
    assert time.monotonic() - began < 10


def test_lives_on_when_the_starting_thread_ends() -> None:
    store = EmbeddedValkey()
    thread = threading.Thread(target=store.start)
    thread.start()
    thread.join()
    try:
        with redis.Redis.from_url(store.url) as client:
            assert client.ping()
    finally:
        store.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux' doing")
def test_dies_with_a_killed_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert _runs(server)
        parent.send_signal(signal.SIGKILL)
        wait_until(lambda: not _runs(server), 30, "the server is gone")


def test_second_store_in_one_directory_is_refused(tmp_path: Path) -> None:
    with (
        EmbeddedValkey(tmp_path),
        pytest.raises(
            EmbeddedValkeyError, match="Another Herald's embedded store uses"
        ),
    ):
        EmbeddedValkey(tmp_path).start()


def test_taken_port_is_said() -> None:
    with EmbeddedValkey() as store:
        second = EmbeddedValkey(port=store.port)
        with pytest.raises(EmbeddedValkeyError, match=f"port {store.port}"):
            second.start()


def test_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedValkeyError, match="name another one"):
        EmbeddedValkey(tmp_path / "file" / "below").start()


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z" and os.getpid() != pid
