"""Where the time of one event goes, step by step, from its publication to the client.

`python -m tests.bench.hops [--rate R] [--events N]` prints it, in milliseconds.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from herald_core.system.subprocesses import spawn, terminate
from tests.bench.ingest import broker
from tests.bench.latency import Latency, told, watch
from tests.support.environment import ROOT
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until

STEPS = (
    "read from the broker",
    "taken by the loop",
    "merged and encoded",
    "stored, and read from the log",
    "frame is made",
    "written to the socket",
    "received by the client",
)

Times = Mapping[str, float]
"""When a step has seen each task (unix seconds), by id."""


class TracedServer(HeraldProcess):
    """A server that notes its steps in a file when it ends."""

    def __init__(self, log: Path, steps: Path, *words: str) -> None:
        super().__init__(log, *words)
        self._words[1:3] = ["-m", "tests.bench.traced", str(steps)]


def trace(rate: float, events: int) -> dict[str, Latency]:
    """Return how long each step takes from the one before it, and all of them."""
    with broker() as url, private_valkey() as stored, _scratch() as place:
        with _running(url, stored.url, place) as server:
            published, received = asyncio.run(watch(server, url, rate, events))
        seen: dict[str, Times] = {STEPS[-1]: received}
        for file in place.glob("*.json"):
            seen |= json.loads(file.read_text())
    return _subtract(published, seen)


def _subtract(published: Times, seen: Mapping[str, Times]) -> dict[str, Latency]:
    whole = [step for step in STEPS if step in seen]
    ids = [i for i in published if all(i in seen[step] for step in whole)]
    times = {"published": published, **seen}
    steps = {
        after: told([times[after][i] - times[before][i] for i in ids], len(published))
        for before, after in zip(("published", *whole), whole, strict=False)
    }
    both = [seen[STEPS[-1]][i] - published[i] for i in ids]
    return {**steps, "all of it": told(both, len(published))}


@contextmanager
def _scratch() -> Generator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def _running(broker_url: str, store: str, place: Path) -> Generator[str]:
    """Run a traced monitor and a traced server; give the server's URL."""
    quiet = ("--store", store, "--log-level", "error")
    words = [sys.executable, "-m", "tests.bench.traced", str(place / "monitor.json")]
    words += ["monitor", "--broker", broker_url, *quiet]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HERALD_TOKEN": TOKEN}
    monitor = spawn(words, place / "monitor.log", env=env)
    server = TracedServer(place / "server.log", place / "server.json", "server", *quiet)
    try:
        server.start()
        wait_until(lambda: is_connected(server), message="the monitor is connected")
        yield server.url
    finally:
        server.stop()
        terminate(monitor, 8.0)


def is_connected(server: HeraldProcess) -> bool:
    """Return True if a monitor of the server's store listens to its broker."""
    monitors = server.get("api/v1/health")["monitors"]
    return any(one["connected"] for one in monitors)


def main() -> None:
    """Print the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--events", type=int, default=1_000)
    given = parser.parse_args()
    for step, took in trace(given.rate, given.events).items():
        shown = f"p50 {took.p50:7.3f}  p99 {took.p99:7.3f}"
        print(f"{step:32}{shown}  of {took.told}")


if __name__ == "__main__":
    main()
