"""Fresh cursors for quiet clients, and how old what they are shown may be."""

import asyncio
import time

import pytest

from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.memory.store import MemoryStore
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.protocol.limits import Limits
from herald_server.push.session.session import Session
from herald_server.push.status import ServerStatus
from tests.support.model.changes import Desk, at
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


def test_a_bookmark_comes_at_each_heartbeat_though_the_log_stands_still() -> None:
    desk = Desk()
    desk.live()
    for _ in range(3):
        assert desk.data() == []
        desk.now += 15.0
        assert desk.session.compute_bookmark_delay(desk.now) == 0.0
        assert desk.data() == [{"type": "cursor", "cursor": str(at(10))}]
    assert desk.session.compute_bookmark_delay(desk.now) == 15.0


def test_a_bookmark_says_how_old_what_is_shown_may_be() -> None:
    desk = Desk()
    desk.session = Session(
        desk.hub, lambda: None, Limits(), 15.0, lag_ms=lambda now: round(now)
    )
    desk.live()
    desk.now += 15.0
    expected = {"type": "cursor", "cursor": str(at(10)), "lag_ms": 115}
    assert desk.data() == [expected]


async def test_the_lag_is_the_silence_of_the_log_or_the_wait_of_events() -> None:
    store, hub = MemoryStore(), Hub()
    await store.open()
    feed = LogReader(store, hub)
    status = ServerStatus(store, feed)
    stop_telling = status.add_listener(lambda: None)
    assert status.compute_lag_ms(time.monotonic()) is None, "nothing was heard yet"
    now = time.time()
    image = MonitorView(
        id="m",
        started_at=to_rfc3339(now),
        seen_at=to_rfc3339(now),
        connected=True,
        lag_ms=700,
    )
    await store.record_heartbeat(image, now=now)
    running = [asyncio.create_task(job.run()) for job in (feed, status)]
    try:
        await wait_until_async(
            lambda: feed.alive_at and status.compute_lag_ms(feed.alive_at) == 700, 30
        )
        assert status.compute_lag_ms(feed.alive_at + 0.5) == 700
        assert status.compute_lag_ms(feed.alive_at + 2.5) == 2_500
        assert status.to_json()["lag_ms"] >= 700
    finally:
        stop_telling()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
