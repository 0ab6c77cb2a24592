"""Webhooks while the store cannot be reached from where they are delivered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from herald_core.model.changes import TASK
from herald_core.store.redis.store import RedisStore
from tests.support.clients.webhook_receiver import (
    Answer,
    Receiver,
    in_order,
    receiving,
    verified,
)
from tests.support.herald.server import Server
from tests.support.herald.webhook_environment import QUICK, WebhookEnvironment
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import all_changes
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def run_all(store: RedisStore, name: str) -> None:
    """Have ten tasks received, started and ended, as a monitor would store it."""
    server = Server(None, "", store)  # type: ignore[arg-type]
    ids = [f"{name}-{n}" for n in range(10)]
    for kind in ("received", "started", "succeeded"):
        await server.tell(kind, *ids, name="shop.pay")


def third_time(receiver: Receiver) -> Callable[[dict[str, str], bytes], Answer]:
    """Refuse each message twice: by chance one could fail until it is given up."""

    def answer(headers: dict[str, str], _: bytes) -> Answer:
        before = [one.id for one in receiver.requests].count(headers["webhook-id"])
        return 200 if before > 1 else 503, {}

    return answer


@pytest.mark.parametrize("how", ["refuse", "cut"])
async def test_a_store_that_is_away_delays_and_loses_nothing(
    how: str, valkey: PrivateValkey, proxy: Callable[[str], Proxy]
) -> None:
    line = proxy(valkey.url)
    store, far = RedisStore(valkey.url), RedisStore(line.url)
    await store.open()
    await far.open()
    environment = WebhookEnvironment(far, QUICK)
    async with receiving() as receiver, environment.delivering():
        receiver.answer = third_time(receiver)
        made = await environment.admin.register({"url": receiver.url, "on": "states"})
        await run_all(store, "before")
        await wait_until_async(
            lambda: len(receiver.first) >= 5, message="some are there"
        )
        getattr(line, how)()
        await run_all(store, "meanwhile")
        if how == "refuse":
            await wait_until_async(
                lambda: environment.feed.problem, message="the store is away"
            )
        line.heal()
        await run_all(store, "after")
        await wait_until_async(lambda: len(receiver.first) >= 90, 30, "all are there")
    changes = [change async for change in all_changes(store) if change.kind == TASK]
    ids = {f"msg-{change.rev.replace('.', '-')}" for change in changes}
    assert set(receiver.first) == ids
    in_order(receiver)
    verified(receiver, made["secret"])
    await far.close()
    await store.close()
