"""Connections of Pub/Sub are killed again and again: no task is seen to go back.

Events come by them, and workers hear of cancels by them: so workers connect again, and
the broker delivers again what they had not acknowledged while its first run goes on.
"""

import asyncio
from typing import Any, cast

import pytest

from tests.support.celery.outbox_stream import AUTO
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.clients.followers import Follower, following
from tests.support.herald.fault_environment import WORK, Room, fault_room
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]
ALSO_PUBLISH = "HERALD_OUTBOX_ALSO_PUBLISH"
LONG = [pytest.mark.soak, pytest.mark.timeout(300)]
CHAINS = [
    *WORK,
    ("retry_surely", ()),
    ("reject", (True,)),
    ("late", (0.3,)),
    ("reject", (False,)),
]
"""Retries on either worker, messages that are returned, and late acknowledgements."""


WAYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "events": ((), ()),
    "mixed": (AUTO, ()),
    "twice": (AUTO, AUTO),
}
"""The options of two workers. `twice`: each event comes by the stream, too."""


@pytest.mark.parametrize("cuts", [3, pytest.param(40, marks=LONG, id="soak")])
@pytest.mark.parametrize("way", ["events", pytest.param("mixed", marks=LONG), "twice"])
async def test_no_task_goes_back_while_connections_are_killed(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    cuts: int,
) -> None:
    if way == "twice":
        monkeypatch.setenv(ALSO_PUBLISH, "1")
    with private_valkey() as keeper:
        app = project_app(valkey.url, f"{keeper.url.rpartition('/')[0]}/1")
        for options in WAYS[way]:
            await asyncio.to_thread(celery_worker, app, concurrency=2, extra=options)
        async with fault_room(app, keeper.url, work=CHAINS) as room:
            each = Follower(room.all.url, mode="events")
            room.followers.append(each)
            async with following(each):
                await room.follows(each)
                for number in range(cuts):
                    await asyncio.to_thread(kill_pubsub, valkey)
                    await hears_again(room, number + 1)
                    await room.traffic.more(20)
                await room.comes_true()
            assert room.held.monitor.make_view().counters["reconnects"] >= cuts


def kill_pubsub(broker: PrivateValkey) -> None:
    with broker.client() as client:
        cast(Any, client).client_kill_filter(_type="pubsub")


async def hears_again(room: Room, times: int) -> None:
    """Wait until the monitor has lost its connection so often, and has a new one."""

    def is_connected() -> bool:
        view = room.held.monitor.make_view()
        return bool(view.connected and view.counters["reconnects"] >= times)

    await wait_until_async(is_connected, 30, f"{times} reconnects")
