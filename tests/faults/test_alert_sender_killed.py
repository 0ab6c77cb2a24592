"""Every alert fires once and is resolved once, while its sender is killed.

It is killed with SIGKILL while a receiver has the first message and has not answered,
when an alert fires and when one is resolved: of that message between send and store, of
all others between store and send. Webhooks tell repetitions by their `webhook-id`;
messages through Apprise say that they may be repeated.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.store import RedisStore
from herald_server.alerts.text import REPEAT_NOTE
from herald_server.webhooks.repository import WebhookRepository
from tests.support.alerts.problems import ENDING_RULES, RULES, AlertProblems
from tests.support.alerts.receiver import AlertReceiver, receiving_alerts
from tests.support.herald.monitor_process import open_store
from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

Wanted = Callable[[dict[str, Any]], bool]
LEASES = [RedisKeys().make_lease(work) for work in ("alerts", "webhooks")]
SECRET = "whsec_" + "QUFB" * 11


def write_toml(folder: Path, receiver: AlertReceiver, kind: str) -> Path:
    url = f"127.0.0.1:{receiver.port}/"
    table = (
        f'[alerts.receivers.ops]\nurl = "json://{url}"\n'
        if kind == "apprise"
        else f'[webhooks.hook]\nurl = "http://{url}"\nsecret = "{SECRET}"\n'
        'on = ["alert"]\n'
    )
    path = folder / "herald.toml"
    path.write_text(RULES + table)
    return path


def list_ends(message: dict[str, Any]) -> bool:
    """Return True if a message reports that an alert is resolved."""
    said = message.get("type", ""), message.get("title", "")
    return "resolved" in str(said).lower()


class KilledServer:
    """A server that is killed while the first message is under way."""

    def __init__(self, log: Path, store: str, toml: Path) -> None:
        self.is_dead = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._process = HeraldProcess(
            *(log, "server", "--store", store, "--catalog", str(toml)),
            HERALD_WEBHOOKS_ALLOW="127.0.0.1",
            HERALD_WEBHOOKS_RETRY="0.05",
        )

    async def start(self) -> None:
        await asyncio.to_thread(self._process.start)

    async def stop(self) -> None:
        await asyncio.to_thread(self._process.stop)

    def kill(self) -> None:
        """Kill it once; called on any thread."""
        if not self.is_dead.is_set():
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._loop.call_soon_threadsafe(self.is_dead.set)

    def kill_if(self, receiver: AlertReceiver, wanted: Wanted) -> None:
        """Kill it when `receiver` has a wanted message, before that is answered."""

        def kill(message: dict[str, Any]) -> None:
            if wanted(message):
                self.kill()

        receiver.on_message = kill

    async def wait_until_dead(self, valkey: PrivateValkey) -> None:
        """Wait until it was killed; the next one need not wait for its leases."""
        await asyncio.wait_for(self.is_dead.wait(), 60)
        with valkey.client() as client:
            client.delete(*LEASES)


def count_lines(receiver: AlertReceiver, title: str) -> int:
    """Count what begins with `title` in messages that are not marked as repeated."""
    lines = [
        line
        for message in receiver.messages
        if REPEAT_NOTE not in message.get("message", "")
        for line in (message.get("title", ""), *message.get("message", "").splitlines())
    ]
    return sum(line.startswith(title) for line in lines)


async def count_received(receiver: AlertReceiver, store: RedisStore) -> int:
    """Return how many notices reached `receiver`; fail if one did so twice.

    Repetitions that are marked, or that have the same `webhook-id`, are one.
    """
    if receiver.webhook_ids:
        return len(set(receiver.webhook_ids))
    titles = [
        title
        for one in await store.list_documents("alerts")
        for title in (one.data["title"], f"Resolved: {one.data['title']}")
    ]
    assert all(count_lines(receiver, title) <= 1 for title in titles)
    texts = [f"\n{m['title']}\n{m['message']}" for m in receiver.messages]
    return sum(any(f"\n{title}" in text for text in texts) for title in titles)


@pytest.mark.parametrize("kind", ["apprise", "webhook"])
async def test_every_alert_fires_and_resolves_once(
    kind: str, tmp_path: Path, valkey: PrivateValkey
) -> None:
    with receiving_alerts() as receiver:
        toml = write_toml(tmp_path, receiver, kind)

        def make(name: str) -> KilledServer:
            return KilledServer(tmp_path / name, valkey.url, toml)

        first, second, last = make("first.log"), make("second.log"), make("last.log")
        async with open_store(valkey.url) as store:
            problems = AlertProblems(store)
            async with problems.monitored():
                first.kill_if(receiver, lambda message: True)
                await first.start()
                if kind == "webhook":
                    # A new endpoint gets what happens from then on.
                    state = WebhookRepository(store)
                    await wait_until_async(lambda: state.read_state("hook"))
                await problems.begin_all()
                await first.wait_until_dead(valkey)
                second.kill_if(receiver, list_ends)
                await second.start()
                await problems.wait_for("firing", ENDING_RULES)
                await problems.end_all()
                await second.wait_until_dead(valkey)
                await last.start()
                await problems.wait_for("resolved", ENDING_RULES)
                expected = len(ENDING_RULES) * 2 + 1  # task_failed only fires
                await wait_until_async(
                    lambda: count_received(receiver, store), accept=expected.__le__
                )
                await last.stop()
                documents = await store.list_documents("alerts")
                assert await count_received(receiver, store) == expected
    for one in documents:
        types = Counter(notice["type"] for notice in one.data["notices"])
        ends = one.data["rule"] in ENDING_RULES
        assert types == ({"fired": 1, "resolved": 1} if ends else {"fired": 1})
