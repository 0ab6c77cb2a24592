"""Where the store is moves: sentinels say where, and Herald follows."""

from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.errors import StoreUnreachable, StoreUnsupported
from herald_core.store.redis.store import RedisStore
from tests.support.herald.fault_environment import fault_room
from tests.support.servers.redis import private_valkey
from tests.support.servers.sentinel import leads, replicate, sentinel
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def test_the_primary_dies_and_the_replica_is_followed(
    module_app: Celery, tmp_path: Path
) -> None:
    with private_valkey() as primary, private_valkey() as other:
        replica = cast(Any, other.client())
        replicate(primary, replica)
        with sentinel(primary, tmp_path) as port:
            url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/mymaster"
            async with fault_room(module_app, url) as room:
                primary.kill()
                await wait_until_async(
                    lambda: leads(replica), 30, "the replica took over"
                )
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
    with pytest.raises(StoreUnsupported, match=sentence):
        RedisStore(url)
