"""Fresh cursors for quiet clients, and how old what they are shown may be."""

import asyncio
import time

import pytest

from herald_monitor.memory import MemoryStore
from herald_monitor.model.shape import rfc3339
from herald_monitor.store import MonitorImage
from herald_server.feed import Feed
from herald_server.hub import Hub
from herald_server.limits import Limits
from herald_server.session import Session
from herald_server.status import Status
from tests.unit.pushing import Desk, at

pytestmark = pytest.mark.anyio


def test_a_bookmark_comes_at_each_heartbeat_though_the_log_stands_still() -> None:
    desk = Desk()
    desk.live()
    for _ in range(3):
        assert desk.data() == []
        desk.now += 15.0
        assert desk.session.quiet_for(desk.now) == 0.0
        assert desk.data() == [{"type": "cursor", "cursor": str(at(10))}]
    assert desk.session.quiet_for(desk.now) == 15.0


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
    feed = Feed(store, hub)
    status = Status(store, feed)
    stop_telling = status.tell(lambda: None)
    assert status.lag_ms(time.monotonic()) is None, "nothing was heard yet"
    now = time.time()
    image = MonitorImage(
        id="m",
        started_at=rfc3339(now),
        seen_at=rfc3339(now),
        connected=True,
        lag_ms=700,
    )
    await store.beat(image, now=now)
    running = [asyncio.create_task(job.run()) for job in (feed, status)]
    try:
        async with asyncio.timeout(5):
            while not feed.alive_at or status.lag_ms(feed.alive_at) != 700:
                await asyncio.sleep(0.005)
        assert status.lag_ms(feed.alive_at + 0.5) == 700
        assert status.lag_ms(feed.alive_at + 2.5) == 2_500
        assert status.shown()["lag_ms"] >= 700
    finally:
        stop_telling()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
