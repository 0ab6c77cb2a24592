"""Sessions in the store."""

import pytest

from herald_core.errors import StoreError
from herald_core.store.key_value import MemoryKeyValueStore
from herald_server.mcp.http import session_records
from herald_server.mcp.http.session_records import KEY_KIND, SessionRecords

pytestmark = pytest.mark.anyio

FIRST = b'{"method":"initialize"}'


async def test_a_session_is_stored_once_it_is_used() -> None:
    store = MemoryKeyValueStore()
    records = SessionRecords(store)
    records.add("s", "ann", FIRST)
    assert await SessionRecords(store).find("s") is None
    await records.touch("s")
    found = await SessionRecords(store).find("s")
    assert found is not None
    assert (found.owner, bytes(found.initialize), found.uris) == ("ann", FIRST, [])


async def test_what_it_is_subscribed_to_is_stored_at_once() -> None:
    store = MemoryKeyValueStore()
    records = SessionRecords(store)
    records.add("s", "ann", FIRST)
    await records.set_uris("s", ["task://t"])
    await records.set_uris(None, ["task://over-stdio"])
    found = await SessionRecords(store).find("s")
    assert found is not None
    assert found.uris == ["task://t"]


async def test_a_session_in_use_is_stored_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryKeyValueStore()
    records = SessionRecords(store)
    records.add("s", "ann", FIRST)
    await records.touch("s")
    await store.delete_item(KEY_KIND, "s")
    await records.touch("s")
    assert await store.get_item(KEY_KIND, "s") is None
    monkeypatch.setattr(session_records, "REFRESH_S", 0.0)
    await records.touch("s")
    assert await store.get_item(KEY_KIND, "s") is not None


async def test_what_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_records, "REFRESH_S", 0.0)
    store = MemoryKeyValueStore()
    records = SessionRecords(store)
    for id_ in ("kept", "gone", "deleted"):
        records.add(id_, "ann", FIRST)
        await records.touch(id_)
    await records.delete("deleted")
    records.retain(["kept"])
    for id_ in ("kept", "gone"):
        await store.delete_item(KEY_KIND, id_)
    await records.put_quiet(30)
    assert await store.list_items(KEY_KIND) == ["kept"]


async def test_a_first_message_that_is_too_long_is_not_kept() -> None:
    store = MemoryKeyValueStore()
    records = SessionRecords(store)
    records.add("s", "ann", FIRST + b" " * session_records.MAX_INITIALIZE_BYTES)
    await records.touch("s")
    assert await store.list_items(KEY_KIND) == []


async def test_what_is_no_record_is_no_session() -> None:
    store = MemoryKeyValueStore()
    await store.put_item(KEY_KIND, "s", b"{", 60)
    assert await SessionRecords(store).find("s") is None


async def test_a_store_that_is_away_ends_no_call() -> None:
    class Away(MemoryKeyValueStore):
        async def put_item(
            self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
        ) -> bool:
            raise StoreError("it is away")

        async def delete_item(self, kind: str, id_: str) -> None:
            raise StoreError("it is away")

    records = SessionRecords(Away())
    records.add("s", "ann", FIRST)
    await records.touch("s")
    await records.delete("s")
