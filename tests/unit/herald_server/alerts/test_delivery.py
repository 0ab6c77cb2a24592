"""Each notice is sent once, whatever another process did before."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from herald_core.model.alerts.alert import Condition
from herald_core.model.alerts.lifecycle import fire
from herald_core.store.key_value import MemoryKeyValueStore
from herald_server.alerts.delivery import AlertSender
from herald_server.alerts.delivery_records import (
    CLAIMED,
    RECORD_KIND,
    SENT,
    DeliveryRecord,
    make_record_key,
)
from herald_server.alerts.receivers import AlertReceiver, AlertSettings
from herald_server.alerts.text import REPEAT_NOTE, AlertText

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
OPS = AlertReceiver(name="ops", urls=("json://x",))
SETTINGS = AlertSettings(receivers=(OPS,), group_wait=0.0)
CONDITION = Condition(rule="gap", subject="events", title="t", since=NOW)
ALERT = fire(None, CONDITION, None, None, NOW)
KEY = make_record_key(ALERT.notices[0].id, "ops")


class Outbox:
    """Takes texts, and refuses them while `error` is set."""

    def __init__(self) -> None:
        self.texts: list[AlertText] = []
        self.error = ""

    async def send(self, receiver: AlertReceiver, text: AlertText) -> str:
        self.texts.append(text)
        return self.error


async def send_due(sender: AlertSender) -> None:
    """Send what is due, and wait until that is done."""
    done = asyncio.Event()
    sender.on_sent = done.set
    await sender.send([ALERT], NOW + 1)
    await done.wait()


async def run_once(store: MemoryKeyValueStore, outbox: Outbox) -> None:
    """Send what is due, as a process that has just begun."""
    sender = AlertSender(SETTINGS, store, outbox.send)
    await sender.load()
    await send_due(sender)


async def read_record(store: MemoryKeyValueStore) -> DeliveryRecord:
    text = await store.get_item(RECORD_KIND, KEY)
    assert text is not None
    return msgspec.json.decode(text, type=DeliveryRecord)


async def put_record(store: MemoryKeyValueStore, state: str) -> None:
    text = msgspec.json.encode(DeliveryRecord(state=state))
    await store.put_item(RECORD_KIND, KEY, text, 60.0)


async def test_a_notice_is_sent_once_over_restarts() -> None:
    store, outbox = MemoryKeyValueStore(), Outbox()
    await run_once(store, outbox)
    later = AlertSender(SETTINGS, store, outbox.send)
    await later.load()
    await later.send([ALERT], NOW + 1)
    await later.close()
    assert [text.title for text in outbox.texts] == ["t"]
    assert (await read_record(store)).state == SENT


async def test_what_another_process_claimed_is_marked() -> None:
    store, outbox = MemoryKeyValueStore(), Outbox()
    await put_record(store, CLAIMED)
    await run_once(store, outbox)
    assert REPEAT_NOTE in outbox.texts[0].body
    assert (await read_record(store)).attempts == 2


async def test_what_was_claimed_meanwhile_is_left_to_the_other() -> None:
    store, outbox = MemoryKeyValueStore(), Outbox()
    sender = AlertSender(SETTINGS, store, outbox.send)
    await sender.load()
    await put_record(store, CLAIMED)
    await send_due(sender)
    assert outbox.texts == []


async def test_what_failed_waits_for_its_next_attempt() -> None:
    store, outbox = MemoryKeyValueStore(), Outbox()
    outbox.error = "HTTP 500"
    await run_once(store, outbox)
    record = await read_record(store)
    assert (record.state, record.error) == ("failed", "HTTP 500")
    assert record.due > 0


async def test_without_the_lease_nothing_is_sent() -> None:
    store, outbox = MemoryKeyValueStore(), Outbox()
    sender = AlertSender(SETTINGS, store, outbox.send)
    sender.is_leader = lambda: False
    await send_due(sender)
    assert outbox.texts == []
