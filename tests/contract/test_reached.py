"""How the store is reached: by a user of least rights, by TLS."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from herald_monitor.errors import StoreUnfit, StoreUnreachable
from herald_monitor.model.cursor import START
from herald_monitor.model.filters import Filter
from herald_monitor.redis_store import RedisStore
from herald_monitor.store import Gap
from tests.contract.labs import NOW, Lab, event
from tests.contract.test_log import MONITOR
from tests.contract.test_queues import measured
from tests.contract.test_storing import life
from tests.reached import redis_by_socket, redis_by_tls
from tests.servers import ROOT, PrivateValkey

pytestmark = pytest.mark.anyio


def rights() -> list[str]:
    """Return the words behind `ACL SETUSER herald` that the documentation gives."""
    text = (ROOT / "monitor" / "README.md").read_text()
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
        await store.beat(MONITOR, now=NOW)
        assert await store.lease("work", "me", 5)
        assert await store.put_note("kind", "id", b"text", 60)
        assert await store.notes("kind") == {"id": b"text"}
        assert await store.noted("kind") == ["id"]
        await store.drop_note("kind", "id")
        await store.add_line("book", b"line", 5, 60)
        assert await store.lines("book", 5) == [b"line"]
        await store.gauge([measured("q")], now=NOW)
        assert [one.name for one in await store.queues()] == ["q"]
        assert await store.queue_names(NOW - 60) == ["q"]
        assert await store.rollups(NOW - 60, NOW + 120, parts=True)
        assert await store.memory()
        assert (await store.task("a")).state == "SUCCESS"
        assert len((await store.page(Filter(state=("SUCCESS", "RECEIVED")))).tasks) == 2
        assert await store.count(Filter(state=("SUCCESS",)), 10) == 1
        assert await store.counts() == {"SUCCESS": 1, "RECEIVED": 1}
        assert await store.gaps()
        assert await store.monitors()
        await store.workers(now=NOW)
        assert await store.read(START, wait=0.01)
        assert await store.identity()
        assert await store.sweep(now=NOW + 9 * 86_400) == 2
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
    with pytest.raises(StoreUnfit, match="does not let Herald in"):
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
