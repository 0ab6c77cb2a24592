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
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from herald_core.model.rollups.rollup import MINUTE_S
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.store import RedisStore
from herald_server.alerts.rules import BUILT_IN_RULES
from herald_server.alerts.text import REPEAT_NOTE
from tests.support.alerts.problems import (
    ENDING_RULES,
    FAILED_AGO_S,
    RULES,
    AlertProblems,
)
from tests.support.alerts.receiver import AlertReceiver, receiving_alerts
from tests.support.herald.monitor_process import open_store
from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

Wanted = Callable[[dict[str, Any]], bool]
LEASES = [RedisKeys().make_lease(work) for work in ("alerts", "webhooks")]
ALL_RULES = ENDING_RULES | {"task_failed"}
BLIND_RULES = frozenset(["monitor_blind"])
FAILED_FOR_S = 30.0
"""Seconds after which the failures leave the window of their rule."""

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
    path.write_text(make_rules(time.time()) + table)
    return path


def make_rules(now: float) -> str:
    """Return rules of which problems begin and end as in `AlertProblems`."""
    minute = (now - FAILED_AGO_S) // MINUTE_S * MINUTE_S
    window = now + FAILED_FOR_S - minute - MINUTE_S
    rules = RULES.replace('window = "2s"', 'window = "1h"')
    return (
        rules.replace("count = 3", f'count = 3\nwindow = "{window:.0f}s"')
        + "[alerts.rules.monitor_blind]\nfor = 0\nresolve_after = 0\n"
    )


def list_ends(message: dict[str, Any]) -> bool:
    """Return True if a message reports that an alert is resolved."""
    said = message.get("type", ""), message.get("title", "")
    return "resolved" in str(said).lower()


class Episode(NamedTuple):
    """Problems that begin and end, and the rules that find them."""

    rules: frozenset[str]
    begin: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


def make_all(problems: AlertProblems) -> Episode:
    return Episode(ALL_RULES, problems.begin_all, problems.end_all)


def make_blindness(problems: AlertProblems) -> Episode:
    """While nothing is received, the other rules are not judged."""

    async def connect(is_connected: bool) -> None:
        problems.is_connected = is_connected

    return Episode(BLIND_RULES, lambda: connect(False), lambda: connect(True))


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


class KilledTwice:
    """Three servers one after the other; the first two are killed.

    The first while the first message is under way, the second while the first one is
    that reports an end.
    """

    def __init__(
        self, folder: Path, receiver: AlertReceiver, valkey: PrivateValkey, kind: str
    ) -> None:
        self._receiver = receiver
        self._valkey = valkey
        toml = write_toml(folder, receiver, kind)
        self._servers = [
            KilledServer(folder / f"{number}.log", valkey.url, toml)
            for number in range(3)
        ]

    async def run(self, problems: AlertProblems, episode: Episode) -> None:
        """Let the problems of `episode` begin and end, whatever happens to servers."""
        first, second, last = self._servers
        first.kill_if(self._receiver, lambda message: True)
        await episode.begin()
        await first.start()
        await first.wait_until_dead(self._valkey)
        second.kill_if(self._receiver, list_ends)
        await second.start()
        # Failures end by themselves, maybe before this server is there.
        await problems.wait_for("firing", episode.rules - {"task_failed"})
        await episode.end()
        await second.wait_until_dead(self._valkey)
        await last.start()
        await problems.wait_for("resolved", episode.rules)

    async def stop(self) -> None:
        """Stop the last one."""
        await self._servers[-1].stop()


@pytest.mark.parametrize("kind", ["apprise", "webhook"])
@pytest.mark.parametrize("blind", [False, True], ids=["all", "blind"])
async def test_every_alert_fires_and_resolves_once(
    kind: str, blind: bool, tmp_path: Path, valkey: PrivateValkey
) -> None:
    with receiving_alerts() as receiver:
        servers = KilledTwice(tmp_path, receiver, valkey, kind)
        async with open_store(valkey.url) as store:
            problems = AlertProblems(store)
            episode = make_blindness(problems) if blind else make_all(problems)
            async with problems.monitored():
                await servers.run(problems, episode)
                expected = len(episode.rules) * 2
                await wait_until_async(
                    lambda: count_received(receiver, store), accept=expected.__le__
                )
                await servers.stop()
                documents = await store.list_documents("alerts")
                assert await count_received(receiver, store) == expected
    assert {one.data["rule"] for one in documents} == episode.rules
    for one in documents:
        types = Counter(notice["type"] for notice in one.data["notices"])
        assert types == {"fired": 1, "resolved": 1}


def test_every_rule_is_tried() -> None:
    assert {rule.name for rule in BUILT_IN_RULES} == ALL_RULES | BLIND_RULES
