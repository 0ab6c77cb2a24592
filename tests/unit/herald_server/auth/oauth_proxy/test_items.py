"""The key-value protocol of FastMCP over the store."""

import pytest

from herald_core.errors import InvalidInput
from herald_core.store.key_value import MemoryKeyValueStore
from herald_server.auth.oauth_proxy import items as module
from herald_server.auth.oauth_proxy.items import UNUSED_TTL_S, ProxyItems
from herald_server.auth.sso.cookies import SsoCipher

pytestmark = pytest.mark.anyio

CIPHER = SsoCipher("a-secret-of-the-tests")
CODES = "codes"


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> MemoryKeyValueStore:
    return MemoryKeyValueStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def items(store: MemoryKeyValueStore, clock: Clock) -> ProxyItems:
    return ProxyItems(store, CIPHER, clock)


async def test_a_value_is_there_until_its_end(items: ProxyItems, clock: Clock) -> None:
    await items.put("a", {"x": [1, None]}, collection=CODES, ttl=60)
    assert await items.get("a", collection=CODES) == {"x": [1, None]}
    assert await items.ttl("a", collection=CODES) == ({"x": [1, None]}, 60.0)
    clock.now += 60
    assert await items.get("a", collection=CODES) is None
    assert await items.ttl("a", collection=CODES) == (None, None)


async def test_collections_are_apart(items: ProxyItems) -> None:
    await items.put("a", {"x": 1}, collection=CODES, ttl=60)
    await items.put("a", {"x": 2}, ttl=60)
    assert await items.get("a", collection=CODES) == {"x": 1}
    assert await items.get("a") == {"x": 2}
    assert await items.get("a", collection="other clients") is None


async def test_other_processes_with_the_secret_share_them(
    items: ProxyItems, store: MemoryKeyValueStore, clock: Clock
) -> None:
    await items.put("a", {"token": "of the provider"}, collection=CODES, ttl=60)
    assert await ProxyItems(store, CIPHER, clock).get("a", collection=CODES)
    other = ProxyItems(store, SsoCipher("another secret of tests"), clock)
    assert await other.get("a", collection=CODES) is None
    assert b"provider" not in (await store.get_items("oauth-codes"))["a"]


async def test_an_item_cannot_stand_in_for_another(
    items: ProxyItems, store: MemoryKeyValueStore
) -> None:
    await items.put("a", {"x": 1}, collection=CODES, ttl=60)
    sealed = await store.get_item("oauth-codes", "a")
    assert sealed
    await store.put_item("oauth-codes", "b", sealed, 60)
    assert await items.get("b", collection=CODES) is None


async def test_what_has_no_end_is_kept_once_it_is_used(
    items: ProxyItems, clock: Clock
) -> None:
    await items.put("a", {"x": 1}, collection=CODES)
    await items.put("b", {"x": 2}, collection=CODES)
    await items.keep("a", CODES, 10 * UNUSED_TTL_S)
    await items.keep("c", CODES, 10 * UNUSED_TTL_S)
    clock.now += UNUSED_TTL_S
    assert await items.get_many(["a", "b", "c"], collection=CODES) == [
        {"x": 1},
        None,
        None,
    ]


async def test_the_oldest_that_was_not_used_gives_way(
    items: ProxyItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNUSED", 2)
    for key in ("a", "b"):
        await items.put(key, {"x": key}, collection=CODES)
    await items.keep("a", CODES, 60)
    for key in ("c", "d"):
        await items.put(key, {"x": key}, collection=CODES)
    found = await items.get_many(["a", "b", "c", "d"], collection=CODES)
    assert [one and one["x"] for one in found] == ["a", None, "c", "d"]


async def test_a_value_is_bounded(items: ProxyItems) -> None:
    with pytest.raises(InvalidInput, match="larger than"):
        await items.put("b", {"x": "y" * (1 << 17)}, collection=CODES, ttl=60)


async def test_many_at_once(items: ProxyItems) -> None:
    await items.put_many(["a", "b"], [{"x": 1}, {"x": 2}], collection=CODES, ttl=60)
    assert await items.get_many(["b", "c"], collection=CODES) == [{"x": 2}, None]
    assert await items.ttl_many(["a", "c"], collection=CODES) == [
        ({"x": 1}, 60.0),
        (None, None),
    ]
    assert await items.delete("a", collection=CODES)
    assert await items.delete_many(["a", "b"], collection=CODES) == 1
