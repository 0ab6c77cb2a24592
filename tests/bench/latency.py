"""From an event's publication to the WebSocket frame with its change."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import redis.asyncio as redis
from websockets.asyncio.client import connect

from tests.bench.ingest import broker
from tests.bench.traffic import EXCHANGE
from tests.support.environment import ROOT
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey


@dataclass(frozen=True)
class Latency:
    """Milliseconds. `told` of `published` arrived."""

    p50: float
    p99: float
    told: int
    published: int


class _Task(msgspec.Struct):
    id: str = ""
    args: str = ""


class _Frame(msgspec.Struct):
    type: str
    put: list[_Task] = []
    reset: str = ""
    cursor: str = ""


_frame = msgspec.json.Decoder(_Frame)


def told(took: list[float], published: int) -> Latency:
    """Return what the times (seconds) of those that arrived come to."""
    took.sort()
    if not took:
        return Latency(float("nan"), float("nan"), 0, published)
    p99 = took[int(0.99 * (len(took) - 1))]
    return Latency(1e3 * statistics.median(took), 1e3 * p99, len(took), published)


def floor(rate: float, events: int) -> Latency:
    """Measure publish → subscriber with nothing between them but the broker."""
    with broker() as url:
        return asyncio.run(_floor(url, rate, events))


async def _floor(url: str, rate: float, events: int) -> Latency:
    took: list[float] = []
    async with redis.Redis.from_url(url) as client, client.pubsub() as hears:
        await hears.psubscribe(EXCHANGE + "*")
        async with Publishing(url, rate, events) as publishing:
            while len(took) < events and not publishing.over():
                heard: Any = await cast(Any, hears).get_message(True, timeout=0.5)
                if heard and heard["type"] == "pmessage":
                    took.append(time.time() - _published(heard["data"]))
    return told(took, events)


def _published(message: bytes) -> float:
    body = msgspec.json.decode(message)["body"]
    [event] = msgspec.json.decode(msgspec.json.decode(f'"{body}"', type=bytes))
    return _stamp(event["args"])


def _stamp(args: str) -> float:
    return float(args[1:-2])


def herald(rates: dict[float, int]) -> dict[float, Latency]:
    """Measure `herald up` with one watcher of all tasks: rate → events to publish."""
    with broker() as url, private_valkey() as stored, _scratch() as place:
        process = HeraldProcess(
            Path(place) / "log",
            *("up", "--broker", url, "--store", stored.url, "--log-level", "error"),
        )
        process.start()
        try:
            return {
                rate: asyncio.run(_watched(process.url, url, rate, events))
                for rate, events in rates.items()
            }
        finally:
            process.stop()


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory()


async def _watched(server: str, url: str, rate: float, events: int) -> Latency:
    published, received = await watch(server, url, rate, events)
    return told([at - published[id_] for id_, at in received.items()], events)


async def watch(
    server: str, url: str, rate: float, events: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Publish events; return when each was published and received (unix seconds)."""
    published: dict[str, float] = {}
    received: dict[str, float] = {}
    address = server.replace("http", "ws", 1) + "ws"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with connect(
        address,
        subprotocols=["herald.v1"],  # type: ignore[list-item]
        additional_headers=bearer,
        max_size=None,
    ) as line:
        await line.send('{"type":"subscribe","id":"all","limit":0,"filter":{}}')
        while not (frame := _frame.decode(await line.recv())).reset or not frame.cursor:
            pass
        async with Publishing(url, rate, events) as publishing:
            while len(received) < events and not publishing.over():
                try:
                    frame = _frame.decode(await asyncio.wait_for(line.recv(), 0.5))
                except TimeoutError:
                    continue
                now = time.time()
                published |= {task.id: _stamp(task.args) for task in frame.put}
                received |= {task.id: now for task in frame.put}
    return published, received


class Publishing:
    """A process that publishes stamped events at a rate, for the length of a block."""

    def __init__(self, url: str, rate: float, events: int) -> None:
        self._words = ["-m", "tests.bench.publishing", url, "--stamped"]
        self._words += ["--tasks", str(events), "--rate", str(rate)]
        self._given_up = 0.0
        self._longest = 2 * events / rate + 10.0
        self._clock: Callable[[], float] = time.monotonic

    async def __aenter__(self) -> "Publishing":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._words, cwd=ROOT
        )
        self._given_up = self._clock() + self._longest
        return self

    def over(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self._clock() > self._given_up

    async def __aexit__(self, *_: object) -> None:
        await self._process.wait()
