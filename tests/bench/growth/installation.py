"""One installation, filled and measured part by part.

CPU time of the processes, and bytes: the clock says little where others compute too.
"""

import asyncio
import http.client
import json
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.settings import DEFAULT_PREFIX
from herald_core.store.page_tokens import encode_token
from herald_core.store.redis.store import RedisStore
from tests.bench.growth.cases import Case
from tests.bench.ingest import (
    Publisher,
    broker,
    cpu_of,
    read_server_cpu_s,
    running,
    taken_in,
)
from tests.bench.million import fill_store
from tests.bench.push import Place
from tests.bench.store import used
from tests.bench.traffic import make_name
from tests.bench.watchers import SHARE
from tests.support.herald.memory_server import worker_of
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import PrivateValkey, private_valkey

FLOOD_TASKS = 10_000
WATCHERS = 100
"""They share all names: each change is delivered once, whatever the installation."""

PUSH_RATE = 1_000.0
PUSH_S = 6.0
PAGE = 100
REQUESTS = 40
"""Of each kind: the clock of a process' CPU ticks a hundred times a second."""


def measure(case: Case, parts: list[str]) -> dict[str, float]:
    """Return the figures of `parts` of an installation."""
    with private_valkey() as stored:
        found = {"bytes": _fill(case, stored.url)}
        if "pages" in parts:
            with _serve(stored.url) as server:
                found |= _measure_pages(case, stored, server)
        if "ingest" in parts or "push" in parts:
            with _receive(stored.url) as (events, monitor):
                if "ingest" in parts:
                    found |= _measure_ingest(case, events, stored.url, monitor)
                if "push" in parts:
                    found |= _measure_push(case, events, stored.url)
    return found


def _fill(case: Case, url: str) -> float:
    """Fill the store; return the bytes of a task, without the change log."""
    empty = asyncio.run(_read_used(url))
    fill_store(url, case.tasks, shape=case.shape, prefix=DEFAULT_PREFIX)
    full = asyncio.run(_read_used(url))
    asyncio.run(_store_installation(case, url))
    return (full["all"] - full["log"] - empty["all"] + empty["log"]) / case.tasks


async def _read_used(url: str) -> dict[str, int]:
    store = RedisStore(url)
    await store.open()
    try:
        return await used(store, DEFAULT_PREFIX)
    finally:
        await store.close()


async def _store_installation(case: Case, url: str) -> None:
    """Let workers and queues be known as a monitor learns of them."""
    store, now = RedisStore(url), time.time()
    await store.open()
    hosts = tuple(f"celery@worker-{number}" for number in range(case.workers))
    await store.store([], [worker_of(host) for host in hosts], now=now)
    names = [case.shape.queue(at * case.names) for at in range(case.queues)]
    as_of = to_rfc3339(now)
    views = [
        QueueView(id=name, name=name, depth=1, consumers=hosts, as_of=as_of)
        for name in names
    ]
    await store.store_queues(views, now=now)
    await store.close()


@contextmanager
def _receive(url: str) -> Generator[tuple[str, int]]:
    """Run a monitor; yields the URL of its broker, and its process id."""
    with (
        broker() as events,
        tempfile.TemporaryDirectory() as folder,
        running(events, url, Path(folder), writers=0) as pid,
    ):
        yield events, pid


def _measure_ingest(case: Case, events: str, url: str, pid: int) -> dict[str, float]:
    """Let a monitor take a flood, after one that warms it up."""
    flood = taken_in(events, url, pid, FLOOD_TASKS, 2, shape=case.shape)
    cost = asyncio.run(flood)[1]
    assert not cost.lost, f"{cost.lost} events were lost"
    return {"ingest": cost.cpu, "ingest_store": cost.server}


@contextmanager
def _serve(url: str) -> Generator[HeraldProcess]:
    words = ("server", "--store", url, "--log-level", "error")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        server = HeraldProcess(log, *words, HERALD_CPU_PER_TOKEN="0")
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _measure_push(case: Case, events: str, url: str) -> dict[str, float]:
    """Deliver each change to one of the watchers."""
    tasks = int(PUSH_RATE * PUSH_S / 4)
    with (
        _serve(url) as server,
        Place(events, url, server).crowd(
            WATCHERS, SHARE, checked=0, names=case.names
        ) as crowd,
    ):
        publisher = Publisher(events, tasks, PUSH_RATE, 7, live=True, shape=case.shape)
        before = cpu_of(server.pid)
        publisher.go()
        publisher.wait()
        told = crowd.told()
        spent = cpu_of(server.pid) - before
    assert told.changes >= tasks, f"only {told.changes} changes of {tasks} tasks"
    assert not told.closes, told.closes
    return {"push": 1e6 * spent / told.changes}


class Client:
    """A client that keeps its connection."""

    def __init__(self, server: HeraldProcess, stored: PrivateValkey) -> None:
        self._line = http.client.HTTPConnection(urlsplit(server.url).netloc)
        self._pid, self._stored = server.pid, stored

    def get(self, path: str) -> Any:
        """Return the JSON of an answer."""
        self._line.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = self._line.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:300])
        return json.loads(body)

    def measure(self, ask: Callable[[], object]) -> float:
        """Return ms of the CPU of server and store that `ask` costs."""
        ask()
        before = self._read_cpu_s()
        for _ in range(REQUESTS):
            ask()
        return 1e3 * (self._read_cpu_s() - before) / REQUESTS

    def _read_cpu_s(self) -> float:
        with self._stored.client() as client:
            return cpu_of(self._pid) + read_server_cpu_s(client)


def _measure_pages(
    case: Case, stored: PrivateValkey, server: HeraldProcess
) -> dict[str, float]:
    client = Client(server, stored)
    tasks = f"/api/v1/tasks?limit={PAGE}"
    paths = {
        "first": tasks,
        "deep": f"{tasks}&page={encode_token(PAGE + PAGE // 2)}",
        "filtered": f"{tasks}&name={make_name(0)}&state=FAILURE",
        "overview": "/api/v1/overview",
    }
    return {
        what: client.measure(lambda path=path: client.get(path))  # type: ignore[misc]
        for what, path in paths.items()
    }
