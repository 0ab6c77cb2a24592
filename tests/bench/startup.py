"""How long it takes to start: Python alone, `herald --help`, `herald up`."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ingest import broker, cpu_of
from tests.bench.rest import read_cpu, read_pss_mb, read_store_url, running_herald
from tests.support.clients.mcp_json import INITIALIZE
from tests.support.environment import ROOT
from tests.support.herald.process import HeraldProcess


@dataclass(frozen=True)
class Start:
    """Milliseconds by the clock, and of CPU, which others on the machine alter less."""

    clock: float
    cpu: float


COMMANDS = {
    "python": ("-c", "pass"),
    "python, import celery": ("-c", "import celery"),
    "herald --help": ("-m", "herald_server", "--help"),
}


def startup(times: int = 15) -> dict[str, Start]:
    """Return the best of some starts of each: noise only ever adds."""
    # In turns: whatever else the machine does falls on all of them.
    rounds = [
        {what: _timed(words) for what, words in COMMANDS.items()} for _ in range(times)
    ]
    return {
        what: Start(
            min(one[what].clock for one in rounds), min(one[what].cpu for one in rounds)
        )
        for what in COMMANDS
    }


def _timed(words: Sequence[str]) -> Start:
    before, begin = _children(), time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
    return Start(1e3 * (time.perf_counter() - begin), 1e3 * (_children() - before))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ready(times: int) -> Start:
    """Return what `herald up` takes until it serves, the best of some."""
    with broker() as url, tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        took: list[Start] = []
        for number in range(times):
            data = str(Path(place) / f"store{number}")
            words = ("up", "--broker", url, "--data", data, "--log-level", "error")
            herald = HeraldProcess(log, *words)
            begin = time.perf_counter()
            try:
                herald.start()
                clock = 1e3 * (time.perf_counter() - begin)
                took.append(Start(clock, 1e3 * _cpu_of_tree(herald.pid)))
            finally:
                herald.stop()
    return Start(min(one.clock for one in took), min(one.cpu for one in took))


def first_mcp_answer(times: int) -> tuple[Start, float]:
    """Return what `herald mcp` takes until it answers, the best of some.

    The second value is the megabytes (PSS) that it holds then.
    """
    with (
        tempfile.TemporaryDirectory() as place,
        running_herald(Path(place)) as herald,
    ):
        took = [_time_mcp(read_store_url(herald)) for _ in range(times)]
    best = Start(min(one.clock for one, _ in took), min(one.cpu for one, _ in took))
    return best, min(held for _, held in took)


def _time_mcp(store: str) -> tuple[Start, float]:
    words = [sys.executable, "-m", "herald_server", "mcp", "--log-level", "error"]
    env = {**os.environ, "HERALD_STORE_URL": store}
    begin = time.perf_counter()
    with subprocess.Popen(
        words, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        clock = 1e3 * (time.perf_counter() - begin)
        told = Start(clock, 1e3 * read_cpu(process.pid)), read_pss_mb(process.pid)
        process.terminate()
    assert answer["result"]["serverInfo"]["name"] == "herald", answer
    return told


def _cpu_of_tree(pid: int) -> float:
    """Return the seconds of CPU of a process and all below it (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_of(pid) + sum(_cpu_of_tree(int(child)) for child in children)
