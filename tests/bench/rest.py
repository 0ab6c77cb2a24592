"""Herald at rest: `herald up` with one worker, nobody watching, and no task.

`python -m tests.bench.rest [--seconds N]` prints memory (PSS), CPU and the commands of
the store, process by process. PSS shares a page among the processes that map it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from herald_core.store.embedded import ADDRESS_FILE
from herald_core.system.subprocesses import spawn, terminate
from tests.bench.ingest import broker
from tests.bench.table import Table
from tests.bench.worker_project import BROKER
from tests.support.environment import ROOT
from tests.support.herald.process import HeraldProcess
from tests.support.wait import wait_until

SETTLE_S = 20.0
QUICK_SETTLE_S = 8.0
"""Seconds after `ready` in which caches fill and pages go back to the system."""


GOAL_MB = 110.0
GOAL_PERCENT = 0.4
GOAL_COMMANDS = 50.0


@dataclass(frozen=True)
class ProcessUse:
    """What a process holds, and what it took of one processor."""

    name: str
    pss_mb: float
    cpu_percent: float
    switches: float
    """Voluntary context switches a second: how often it woke."""


@dataclass(frozen=True)
class Rest:
    """What all processes of `herald up` hold and take while nothing happens."""

    processes: tuple[ProcessUse, ...]
    commands: dict[str, float]
    """Commands a second in the store, by name."""

    @property
    def pss_mb(self) -> float:
        """Megabytes of all."""
        return sum(one.pss_mb for one in self.processes)

    @property
    def commands_per_s(self) -> float:
        """Commands a second in the store, of all kinds."""
        return sum(self.commands.values())

    @property
    def cpu_percent(self) -> float:
        """Percent of one processor, of all."""
        return sum(one.cpu_percent for one in self.processes)


@contextmanager
def running_herald(place: Path, *words: str) -> Generator[HeraldProcess]:
    """Run `herald up` beside a worker; the embedded store is in `place`."""
    with broker() as url, _running_worker(place, url):
        data = ("--data", str(place / "data"))
        herald = HeraldProcess(place / "log", "up", "--broker", url, *data, *words)
        try:
            herald.start()
            yield herald
        finally:
            herald.stop()


@contextmanager
def _running_worker(place: Path, url: str) -> Generator[None]:
    log = place / "worker.log"
    words = [sys.executable, "-m", "celery", "-A", "tests.bench.worker_project"]
    words += ["worker", "-E", "-c", "1", "-n", "rest@here", "-l", "INFO"]
    env = {
        **os.environ,
        BROKER: url,
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
    }
    process = spawn(words, log, env=env)
    try:
        wait_until(lambda: "ready." in log.read_text(), 60, "the worker is ready")
        yield
    finally:
        terminate(process, 10.0)


def measure(herald: HeraldProcess, seconds: float) -> Rest:
    """Return what `herald` takes in some `seconds` from now on."""
    with redis.Redis.from_url(read_store_url(herald)) as client:
        before = {pid: read_cpu(pid) for pid in list_tree(herald.pid)}
        woken = {pid: _read_switches(pid) for pid in before}
        client.config_resetstat()
        begin = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begin
        commands = _count_commands(client)
    used = [
        ProcessUse(
            _name(pid),
            read_pss_mb(pid),
            100 * (read_cpu(pid) - cpu) / took,
            (_read_switches(pid) - woken[pid]) / took,
        )
        for pid, cpu in before.items()
    ]
    return Rest(tuple(used), {name: n / took for name, n in commands.items()})


def read_store_url(herald: HeraldProcess) -> str:
    """Return the URL of the embedded store."""
    [place] = herald.log.parent.glob(f"state/herald/*/{ADDRESS_FILE}")
    return place.read_text()


def _count_commands(client: "redis.Redis") -> dict[str, int]:
    told = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): int(stat["calls"])
        for name, stat in told.items()
        if name not in ("cmdstat_config|resetstat", "cmdstat_info")
    }


def list_tree(pid: int) -> Iterator[int]:
    """Return a process and all below it (Linux)."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from list_tree(int(child))


def read_pss_mb(pid: int) -> float:
    """Return the megabytes of a process, shared pages divided among their users."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("Pss:")]
    return int(line.split()[1]) / 1024


def read_cpu(pid: int) -> float:
    """Return seconds of CPU, to the nanosecond, of all threads."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def _read_switches(pid: int) -> int:
    lines = [
        line
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary")
    ]
    return sum(int(line.split()[1]) for line in lines)


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    named = next((w for w in words[1:4] if b"herald" in w and b"/" not in w), words[0])
    return Path(named.decode()).name


def measure_rest(table: Table, quick: bool) -> None:
    """Compare what `herald up` holds and takes with what it may."""
    table.part("at rest: `herald up` with one worker, nobody watching, no task")
    settle_s, seconds = (QUICK_SETTLE_S, 12.0) if quick else (SETTLE_S, 60.0)
    with (
        tempfile.TemporaryDirectory() as place,
        running_herald(Path(place)) as herald,
    ):
        time.sleep(settle_s)
        _add_rows(table, measure(herald, seconds))


def _add_rows(table: Table, rest: Rest) -> None:
    for one in rest.processes:
        figures = f"{one.pss_mb:8.1f} MB  {one.cpu_percent:5.2f} % of a core"
        table.row(one.name, f"{figures}  {one.switches:5.1f} wake-ups/s")
    memory, cpu, asked = rest.pss_mb, rest.cpu_percent, rest.commands_per_s
    table.row(
        "memory of all",
        f"{memory:8.1f} MB",
        f"at rest, memory: {GOAL_MB:.0f} MB",
        memory / GOAL_MB,
    )
    table.row(
        "CPU of all",
        f"{cpu:8.2f} % of a core",
        f"at rest, CPU: {GOAL_PERCENT} % of a core",
        cpu / GOAL_PERCENT,
    )
    table.row(
        "commands of the store",
        f"{asked:8.1f} a second",
        f"at rest, commands: {GOAL_COMMANDS:.0f} a second",
        asked / GOAL_COMMANDS,
    )


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as place,
        running_herald(Path(place)) as herald,
    ):
        time.sleep(SETTLE_S)
        _add_rows(Table(), measure(herald, given.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
