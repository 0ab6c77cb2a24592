"""How the store is reached: by a user of least rights, by TLS."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from herald_core.errors import StoreUnreachable, StoreUnsupported
from herald_core.model.cursor import START
from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.store.redis.store import RedisStore
from tests.support.environment import DOCS
from tests.support.servers.redis import PrivateValkey
from tests.support.servers.redis_connections import redis_by_socket, redis_by_tls
from tests.support.store.labs import NOW, Lab, event
from tests.support.store.records import MONITOR, life, measured

pytestmark = pytest.mark.anyio


def rights() -> list[str]:
    """Return the words behind `ACL SETUSER herald` that the documentation gives."""
    text = (DOCS / "explanation" / "store.md").read_text()
    found = re.search(r"ACL SETUSER herald (.*)", text)
    assert found, "the documentation gives no user"
    return found[1].replace(">PASSWORD", ">secret").split()


async def everything(store: RedisStore) -> None:
    """Do with `store` what monitors and servers do."""
    await store.open()
    try:
        moment = "2027-01-15T08:00:00Z"
        gap = Gap(id="g", since=moment, until=moment, reason="tried")
        await store.store([*life("a"), event("received", "b")], now=NOW)
        await store.open_gap(gap)
        await store.record_heartbeat(MONITOR, now=NOW)
        assert await store.acquire_lease("work", "me", 5)
        assert await store.put_item("kind", "id", b"text", 60)
        assert await store.get_items("kind") == {"id": b"text"}
        assert await store.list_items("kind") == ["id"]
        await store.delete_item("kind", "id")
        await store.push_line("book", b"line", 5, 60)
        assert await store.read_lines("book", 5) == [b"line"]
        await store.store_queues([measured("q")], now=NOW)
        assert [one.name for one in await store.list_queues()] == ["q"]
        assert await store.list_queue_names(NOW - 60) == ["q"]
        assert await store.read_rollups(NOW - 60, NOW + 120, parts=True)
        assert await store.read_server_memory()
        assert (await store.get_task("a")).state == "SUCCESS"
        assert (
            len((await store.list_tasks(Filter(state=("SUCCESS", "RECEIVED")))).tasks)
            == 2
        )
        assert await store.count_tasks(Filter(state=("SUCCESS",)), 10) == 1
        assert await store.count_by_state() == {"SUCCESS": 1, "RECEIVED": 1}
        assert await store.list_gaps()
        assert await store.list_monitors()
        await store.list_workers(now=NOW)
        assert await store.read_entries(START, wait=0.01)
        assert await store.read_history_id()
        assert await store.expire_tasks(now=NOW + 9 * 86_400) == 2
    finally:
        await store.close()


async def test_a_user_of_least_rights_is_enough(valkey: PrivateValkey) -> None:
    with valkey.client() as plain:
        client = cast(Any, plain)
        client.execute_command("ACL", "SETUSER", "herald", "reset", *rights())
        url = valkey.url.replace("redis://", "redis://herald:secret@")
        await everything(RedisStore(url))
        log = client.execute_command("ACL", "LOG")
    assert log == []


async def test_a_unix_socket_is_a_way(tmp_path: Path) -> None:
    with redis_by_socket(tmp_path) as path:
        await everything(RedisStore(f"unix://{path}?db=3"))


async def test_a_user_of_other_keys_is_refused(valkey: PrivateValkey) -> None:
    with valkey.client() as plain:
        client = cast(Any, plain)
        client.execute_command("ACL", "SETUSER", "herald", "reset", *rights())
    url = valkey.url.replace("redis://", "redis://herald:secret@")
    store = RedisStore(url, prefix="{others}")
    await store.open()
    with pytest.raises(StoreUnsupported, match="does not let Herald in"):
        await store.store(life("a"), now=NOW)
    await store.close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A Redis that speaks TLS only: its port, and the authority that vouches for it."""
    with redis_by_tls(tmp_path_factory.mktemp("tls")) as found:
        yield found


async def test_a_store_behind_tls(secured: tuple[int, Path]) -> None:
    port, authority = secured
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority}"
    await everything(RedisStore(url, prefix=Lab(None).prefix))


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    secured: tuple[int, Path],
) -> None:
    with pytest.raises(StoreUnreachable, match="certificate"):
        await RedisStore(f"rediss://127.0.0.1:{secured[0]}/0").open()
