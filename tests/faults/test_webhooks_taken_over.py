"""Deliveries to a receiver that fails and is down, while the deliverer is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from herald_core.model.changes import TASK
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.store import RedisStore
from tests.support.clients.webhook_receiver import (
    Receiver,
    in_order,
    receiving,
    verified,
)
from tests.support.herald.monitor_process import open_store
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.herald.server import Server
from tests.support.herald.webhook_environment import QUICK, WebhookEnvironment
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import all_changes
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

LEASE = RedisKeys().make_lease("webhooks")
KINDS = ("received", "started", "succeeded")


def started(log: Path, store: str, retry: str) -> HeraldProcess:
    """Start a server that has no monitor: the test tells the store what happens."""
    made = HeraldProcess(
        *(log, "server", "--store", store),
        HERALD_WEBHOOKS_ALLOW="127.0.0.1",
        HERALD_WEBHOOKS_RETRY=retry,
    )
    made.start()
    return made


async def register(server: HeraldProcess, **given: Any) -> dict[str, Any]:
    """Register a webhook by REST, and return what is answered."""
    async with httpx2.AsyncClient(
        base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}
    ) as client:
        answer = await client.post("api/v1/webhooks", json=given)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@contextlib.asynccontextmanager
async def servers(
    tmp_path: Path, valkey: PrivateValkey, retry: str
) -> AsyncGenerator[HeraldProcess]:
    """Run two servers over one store, and give the one that delivers."""
    made: list[HeraldProcess] = []
    try:
        made += await asyncio.gather(
            *(
                asyncio.to_thread(started, tmp_path / name, valkey.url, retry)
                for name in ("one.log", "two.log")
            )
        )
        with valkey.client() as client:
            await wait_until_async(
                lambda: client.exists(LEASE), message="one has the lease"
            )
            owner = str(client.get(LEASE))
        yield next(one for one in made if f"-{one.pid}-" in owner)
    finally:
        for one in made:
            await asyncio.to_thread(one.stop)


@contextlib.asynccontextmanager
async def server_and_us(
    tmp_path: Path, valkey: PrivateValkey
) -> AsyncGenerator[HeraldProcess]:
    """Run a server that delivers, and stand by in this process; give the server."""
    log = tmp_path / "one.log"
    one = await asyncio.to_thread(started, log, valkey.url, "0.02")
    try:
        with valkey.client() as client:
            await wait_until_async(
                lambda: client.exists(LEASE), message="it has the lease"
            )
        async with (
            open_store(valkey.url) as store,
            WebhookEnvironment(store, QUICK).delivering(),
        ):
            yield one
    finally:
        await asyncio.to_thread(one.stop)


async def run_all(store: RedisStore, tasks: int, batch: int) -> None:
    """Have tasks received, started and ended, as a monitor would store it."""
    server = Server(None, "", store)  # type: ignore[arg-type]
    for first in range(0, tasks, batch):
        ids = [f"t{n}" for n in range(first, min(first + batch, tasks))]
        for kind in KINDS:
            await server.tell(kind, *ids, name="shop.pay")


async def revs(store: RedisStore) -> set[str]:
    """Return the `webhook-id` of every change in the log."""
    return {
        f"msg-{change.rev.replace('.', '-')}"
        async for change in all_changes(store)
        if change.kind == TASK
    }


async def through_everything(
    valkey: PrivateValkey,
    processes: AbstractAsyncContextManager[HeraldProcess],
    tasks: int,
    down: float,
    hurry: bool,
) -> tuple[Receiver, float, float]:
    """Return the receiver, which has all, how long that took, and the way back.

    That is: from when the receiver was up again to what it accepted next.

    The deliverer is killed once a fifth has arrived, and the receiver is down for
    `down` seconds from then on. `hurry`: the lease of the dead runs out at once.
    """
    chance, wanted = random.Random(11), tasks * len(KINDS)
    async with (
        open_store(valkey.url) as store,
        receiving() as receiver,
        processes as one,
    ):
        receiver.answer = lambda _, __: (500 if chance.random() < 0.3 else 200, {})
        told = await register(one, url=receiver.url, on="states")
        began = time.monotonic()
        telling = asyncio.create_task(run_all(store, tasks, 50))
        await wait_until_async(
            lambda: len(receiver.accepted) > wanted // 5, 60, "a fifth is there"
        )
        os.kill(one.pid, signal.SIGKILL)
        await receiver.down()
        if hurry:
            with valkey.client() as client:
                client.delete(LEASE)
        await asyncio.gather(telling, asyncio.sleep(down))
        await receiver.up()
        up = time.monotonic()
        await wait_until_async(
            lambda: len(receiver.first) >= wanted, 180, f"{wanted} are there"
        )
        took = time.monotonic() - began
        back = min(one.at for one in receiver.accepted if one.at > up) - up
        assert {heard.id for heard in receiver.accepted} == await revs(store)
    in_order(receiver)
    verified(receiver, told["secret"])
    return receiver, took, back


async def test_nothing_is_lost_when_the_deliverer_is_killed(
    tmp_path: Path, valkey: PrivateValkey
) -> None:
    processes = server_and_us(tmp_path, valkey)
    await through_everything(valkey, processes, tasks=100, down=0.1, hurry=True)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_ten_thousand_arrive_through_a_killed_deliverer_and_20_s_of_silence(
    tmp_path: Path, valkey: PrivateValkey
) -> None:
    processes = servers(tmp_path, valkey, "0.25")
    receiver, took, back = await through_everything(
        valkey, processes, tasks=3_400, down=20.0, hurry=False
    )
    repeated = len(receiver.accepted) - len(receiver.first)
    print(
        f"\n{len(receiver.first)} deliveries in {took:.1f} s, "
        f"{len(receiver.requests)} requests, {repeated} repeated; "
        f"{back:.1f} s from up again to the next one"
    )
