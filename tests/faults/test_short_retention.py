"""Tasks that are forgotten within seconds, and clients that break off all the while."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.clients.followers import Follower, following
from tests.support.herald.fault_environment import Traffic
from tests.support.herald.reconciling_monitor import truth
from tests.support.herald.server import make_store, serving
from tests.support.journal import Journal
from tests.support.servers.redis import PrivateValkey
from tests.support.validators import kept
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

PREFIX = "{short}"
KEPT: dict[str, Any] = {"retention": 1.0, "log_length": 300}


def gone_back(journal: Journal) -> Iterator[str]:
    """Yield each task that went back to an attempt, or left an end, it had shown."""
    shown: dict[str, tuple[int, bool]] = {}
    for step in journal.steps:
        for item in step.frame.get("put", ()):
            now = (item.get("attempt", 0), bool(item.get("final")))
            if now < shown.get(item["id"], now):
                yield f"{item['id']} went back to {item}"
            shown[item["id"]] = now


@pytest.mark.parametrize("tasks", [150, pytest.param(3_000, marks=pytest.mark.soak)])
async def test_nothing_goes_back_or_is_told_twice(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tasks: int,
) -> None:
    app = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=4)
    store = make_store(valkey.url, prefix=PREFIX, **KEPT)
    await store.open()
    serves = serving(valkey.url, store=make_store(valkey.url, prefix=PREFIX, **KEPT))
    async with truth(app, store, listen_backend=True), serves as server:
        followers = [Follower(server.ws, mode=m) for m in ("changes", "events") * 2]
        async with following(*followers):
            await wait_until_async(lambda: all(f.journal.cursor for f in followers))
            await break_off(followers, Traffic(app), tasks)
            steps = followers[0].journal.steps
            await wait_until_async(
                lambda: any(one.frame.get("del") for one in steps), 30
            )
    await store.close()
    for follower in followers:
        kept(follower.journal)
        assert not list(gone_back(follower.journal))


async def break_off(followers: list[Follower], traffic: Traffic, tasks: int) -> None:
    """Break one client off after another while so many tasks are sent."""
    random = Random(1)
    sending = asyncio.create_task(traffic.run())
    while len(traffic.ids) < tasks:
        follower = random.choice(followers)
        follower.leave()
        await traffic.more(random.randint(1, 20))
        follower.come_back()
        await traffic.more(random.randint(1, 10))
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
