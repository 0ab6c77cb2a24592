"""A store that is not fit says so in a sentence."""

import pytest

from herald_core.errors import StoreError, StoreUnreachable, StoreUnsupported
from herald_core.model.cursor import START
from herald_core.store.redis.connection.client import mask_password
from herald_core.store.redis.store import RedisStore, check_supported, list_warnings
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import NOW, Lab, event
from tests.support.store.records import life, merged, stored

pytestmark = pytest.mark.anyio

FIT = {"redis_version": "7.0.15", "role": "master", "maxmemory_policy": "noeviction"}


async def test_a_fit_server_is_opened_without_a_word(redis_lab: Lab) -> None:
    store = redis_lab.make()
    await store.open()
    assert isinstance(store, RedisStore)
    assert store.warnings == []
    await store.close()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"redis_version": "6.2.7"}, r"is Redis 6\.2\.7; Herald needs"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, r"is Valkey 7\.2\.5"),
        ({"redis_version": ""}, "unknown version"),
        ({"role": "slave"}, "is a replica; point HERALD_STORE_URL"),
        ({"cluster_enabled": "1"}, r"node of a cluster; write redis\+cluster"),
    ],
)
def test_an_unfit_server_is_refused(said: dict[str, str], sentence: str) -> None:
    with pytest.raises(StoreUnsupported, match=sentence):
        check_supported({**FIT, **said}, "redis://h")


@pytest.mark.parametrize(
    "said", [{}, {"redis_version": "8.2.0"}, {"valkey_version": "8.0.1"}]
)
def test_a_new_server_is_taken(said: dict[str, str]) -> None:
    check_supported({**FIT, **said}, "redis://h")


def test_a_server_that_evicts_is_warned_of() -> None:
    [sentence] = list_warnings({"maxmemory_policy": "allkeys-lru"}, "redis://h")
    assert "allkeys-lru" in sentence
    assert "noeviction" in sentence


async def test_a_policy_that_evicts_is_warned_of(own_lab: Lab) -> None:
    with own_lab.client() as client:
        client.config_set("maxmemory-policy", "volatile-ttl")
    async with own_lab.open() as store:
        assert isinstance(store, RedisStore)
        assert "volatile-ttl" in store.warnings[0]


async def test_a_replica_is_not_opened(own_lab: Lab) -> None:
    with own_lab.client() as client:
        client.replicaof("127.0.0.1", "1")
    with pytest.raises(StoreUnsupported, match="replica"):
        await own_lab.make().open()


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    store = RedisStore("redis://user:hush@127.0.0.1:1/3")
    with pytest.raises(StoreUnreachable, match="HERALD_STORE_URL") as told:
        await store.open()
    assert "redis://user@127.0.0.1:1/3" in str(told.value)
    assert "hush" not in str(told.value)


async def test_a_wrong_password_is_said_to_be_wrong(own_lab: Lab) -> None:
    with own_lab.client() as client:
        client.config_set("requirepass", "right")
    assert own_lab.url is not None
    for password in ("", ":wrong@"):
        url = own_lab.url.replace("redis://", f"redis://{password}")
        with pytest.raises(StoreUnsupported, match="does not let Herald in") as told:
            await RedisStore(url).open()
        assert "wrong@" not in str(told.value)


@pytest.mark.parametrize("url", ["http://x", "nonsense", "redis://h:port/0"])
async def test_a_url_of_nothing_is_refused(url: str) -> None:
    with pytest.raises(StoreUnsupported, match="redis://HOST:PORT/DB"):
        await RedisStore(url).open()


async def test_a_store_that_is_not_open_says_so(redis_lab: Lab) -> None:
    store = redis_lab.make()
    with pytest.raises(StoreError, match=r"open\(\) first"):
        await store.get_task("a")
    await store.close()


async def test_a_server_that_dies_is_unreachable_and_comes_back(
    own_lab: Lab, valkey: PrivateValkey
) -> None:
    async with own_lab.open(patience=1.0) as store:
        await store.store(life("a"), now=NOW)
        valkey.kill()
        with pytest.raises(StoreUnreachable):
            await store.store(life("b"), now=NOW)
        with pytest.raises(StoreUnreachable):
            await store.get_task("a")
        with pytest.raises(StoreUnreachable):
            await store.read_entries(START, wait=1)
        valkey.start()
        await store.store(life("b"), now=NOW)
        assert await stored(store, ["a", "b"]) == merged(life("b"))


async def test_a_full_store_takes_nothing_and_still_forgets(own_lab: Lab) -> None:
    async with own_lab.open(retention=60) as store:
        await store.store(life("a"), now=NOW)
        with own_lab.client() as client:
            client.config_set("maxmemory", "1mb")
            with pytest.raises(StoreError, match="out of memory"):
                await store.store([*life("b"), event("revoked", "a", 9)], now=NOW)
            await own_lab.audit(store)
            assert await stored(store, ["a", "b"]) == merged(life("a"))
            assert await store.expire_tasks(now=NOW + 61) == 1
            client.config_set("maxmemory", "0")
        await store.store(life("b"), now=NOW)


async def test_a_record_of_another_version_is_told(redis_lab: Lab) -> None:
    store = redis_lab.make()
    await store.open()
    with redis_lab.client() as client:
        for body in (b"garbage", b"1-0.0 1\nq", b"1-0.0 1\nm\xff", b"1-0.0 1\nzz"):
            client.set(f"{redis_lab.prefix}:t2:a", body, ex=60)
            with pytest.raises(StoreError, match="not of this version"):
                await store.get_task("a")
            with pytest.raises(StoreError, match="not of this version"):
                await store.store(life("a"), now=NOW)
    await store.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("redis://:p@h", "redis://h"),
        ("rediss://u:p:q@x@h:1/2?password=p", "rediss://u@h:1/2"),
        ("unix:///run/redis.sock?db=1&password=p", "unix:///run/redis.sock"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert mask_password(url) == shown


async def test_a_store_tells_how_full_its_servers_are(lab: Lab) -> None:
    async with lab.open() as store:
        servers = await store.read_server_memory()
        if not lab.on_redis:
            assert servers == []
            return
        assert len({one.id for one in servers}) == len(servers) == 1
        [server] = servers
        assert server.used > 100_000
        assert server.server.startswith(("Valkey ", "Redis "))
        assert (server.most, server.policy) == (None, "noeviction")
