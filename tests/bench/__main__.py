"""Measure Herald beside its floors: `poe bench`, `python -m tests.bench [--quick]`.

One table, floors and peers measured in the same run. `--quick` takes less than
two minutes and compares the ratios with baseline.json: it fails if one is worse
by more than 30 %. Absolute figures are never compared. `--write` makes the ratios
of this run the new baseline. `--only ingest,store` leaves out the rest; the quick
run leaves out the long parts by itself.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

from herald_core.store.redis.store import RedisStore
from herald_monitor.ingest.batch_pacer import BUSY_EVENTS_PER_S
from tests.bench import hops, latency
from tests.bench.agents_rows import measure_mcp
from tests.bench.floors import blobs
from tests.bench.ingest_rows import measure_held, measure_ingest, measure_rabbit
from tests.bench.million import measure_million
from tests.bench.outbox import measure_outbox
from tests.bench.push_rows import measure_push
from tests.bench.replaced import measure_replaced
from tests.bench.rest import measure_rest
from tests.bench.search import measure_search
from tests.bench.startup import first_mcp_answer, ready, startup
from tests.bench.store import PREFIX, used, write
from tests.bench.table import Table
from tests.bench.worker import measure_worker
from tests.support.servers.redis import private_valkey

BASELINE = Path(__file__).parent / "baseline.json"
TOLERATED = 1.3
MCP_GOAL_MB = 80.0
BY_CLOCK = ": time of"
"""Ratios of times by the clock depend on the free cores: printed, not compared."""


def measure_store(table: Table, quick: bool) -> None:
    """Compare storing with blobs, and count bytes."""
    tasks = 5_000 if quick else 50_000
    table.part(f"storing {tasks} tasks, in batches of 200 events")
    floors: list[float] = []
    runs: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    # In turns: whatever else the machine does falls on all of them.
    for _ in range(3):
        floors.append(_floor(tasks))
        for spread, told in runs.items():
            told.append(_stored(tasks, spread))
    floor = min(floors)
    table.row("SET, ZADD, XADD by redis-py", f"{floor:8.1f} µs CPU an event")
    for spread, told in runs.items():
        own = min(run["our CPU, µs an event"] for run in told)
        served = min(run["server's CPU, µs an event"] for run in told)
        name = f"store, {'one event' if spread else 'four events'} a task a batch"
        figures = f"{own:8.1f} µs CPU an event + {served:5.1f} the server's"
        table.row(name, figures, f"{name}: CPU of redis-py's", own / floor)
    kept = runs[False][0]["bytes"]
    # Not of the machine, so it may be compared like a ratio.
    table.row(
        "B a task in the store", f"{kept:8.0f}", "bytes a task: 800 B", kept / 800
    )


def _floor(tasks: int) -> float:
    with private_valkey() as server:
        return blobs(server.url, tasks)


def _stored(tasks: int, spread: bool) -> dict[str, float]:
    with private_valkey() as server:
        return asyncio.run(_written(server.url, tasks, spread))


async def _written(url: str, tasks: int, spread: bool) -> dict[str, float]:
    store = RedisStore(url, prefix=PREFIX)
    await store.open()
    try:
        empty = await used(store)
        told = await write(store, tasks, spread)
        full = await used(store)
    finally:
        await store.close()
    return told | {"bytes": (full["all"] - empty["all"] - full["log"]) / tasks}


def measure_latency(table: Table, quick: bool) -> None:
    """Compare event → frame with publish → subscriber."""
    table.part("event → WebSocket frame, milliseconds")
    seconds = 3 if quick else 15
    rates = {rate: int(rate * seconds) for rate in (50.0, 100.0, 2000.0)}
    floors = {rate: latency.floor(rate, events) for rate, events in rates.items()}
    for rate, told in latency.herald(rates).items():
        floor = floors[rate]
        table.row(f"publish → subscriber, {rate:.0f}/s", _quantiles(floor))
        if rate > BUSY_EVENTS_PER_S:
            # It gathers on purpose, so the floor says nothing about it.
            table.row(f"event → frame, {rate:.0f}/s", _quantiles(told))
            continue
        ratio = f"event to frame, {rate:.0f}/s: p50 of pub/sub"
        value = told.p50 / floor.p50
        table.row(f"event → frame, {rate:.0f}/s", _quantiles(told), ratio, value)
        tail = f"{told.p99 / floor.p99:8.2f} times, {told.p50 / floor.p50:.2f} at p50"
        table.row("  its p99, of that of pub/sub", tail)
    if not quick:
        for step, took in hops.trace(100.0, 1_000).items():
            table.row(f"  {step}", _quantiles(took))


def _quantiles(told: latency.Latency) -> str:
    missing = told.published - told.told
    lost = f"  NOT TOLD {missing}" if missing else ""
    return f"p50 {told.p50:7.2f}  p99 {told.p99:7.2f}{lost}"


def measure_start(table: Table, quick: bool) -> None:
    """Compare starting with starting Python."""
    table.part("starting, milliseconds, best of some")
    told = startup(15) | {"herald up until ready": ready(3 if quick else 5)}
    for what, took in told.items():
        figures = f"{took.clock:8.0f}   {took.cpu:6.0f} of CPU"
        if what.startswith("herald"):
            # By CPU: by the clock it swings twofold with what else goes on.
            ratio = f"{what}: CPU of starting Python"
            table.row(what, figures, ratio, took.cpu / told["python"].cpu)
        else:
            table.row(what, figures)
    took, held = first_mcp_answer(3 if quick else 5)
    table.row(
        "herald mcp until its first answer",
        f"{took.clock:8.0f}   {took.cpu:6.0f} of CPU",
        "herald mcp, first answer: CPU of starting Python",
        took.cpu / told["python"].cpu,
    )
    table.row(
        "and its memory",
        f"{held:8.0f} MB",
        f"herald mcp, memory: {MCP_GOAL_MB:.0f} MB",
        held / MCP_GOAL_MB,
    )


PARTS = {
    "ingest": measure_ingest,
    "rabbit": measure_rabbit,
    "held": measure_held,
    "replaced": measure_replaced,
    "store": measure_store,
    "million": measure_million,
    "search": measure_search,
    "latency": measure_latency,
    "push": measure_push,
    "mcp": measure_mcp,
    "start": measure_start,
    "rest": measure_rest,
    "worker": measure_worker,
    "outbox": measure_outbox,
}


LONG = ("rabbit", "held", "replaced", "push", "million", "worker", "outbox", "search")
"""What takes minutes, or more than this machine may have: not in the quick run."""


def _usual(quick: bool) -> list[str]:
    return [name for name in PARTS if not (quick and name in LONG)]


def worse(ratios: dict[str, float], baseline: dict[str, float]) -> list[str]:
    """Say which ratios are worse than the baseline by more than is tolerated."""
    return [
        f"{name}: {value:.2f}, was {baseline[name]:.2f}"
        for name, value in ratios.items()
        if name in baseline and value > TOLERATED * baseline[name]
    ]


def _baseline() -> dict[str, float]:
    if not BASELINE.exists():
        return {}
    told: dict[str, float] = json.loads(BASELINE.read_text())
    return told


def _verdict(ratios: dict[str, float]) -> int:
    baseline = _baseline()
    found = worse(ratios, baseline)
    print(f"\nWorse than baseline.json by more than {TOLERATED - 1:.0%}: ", end="")
    print("nothing" if not found else "\n  " + "\n  ".join(found))
    print(f"Ratios, their median to the baseline: {_median(ratios, baseline):.2f}")
    return 1 if found else 0


def _median(ratios: dict[str, float], baseline: dict[str, float]) -> float:
    known = baseline.keys() & ratios.keys()
    both = [ratios[name] / baseline[name] for name in known]
    return median(both) if both else 1.0


def main() -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", help="some of " + ", ".join(PARTS))
    given = parser.parse_args()
    begin, table = time.monotonic(), Table()
    for name in (given.only or ",".join(_usual(given.quick))).split(","):
        if name not in PARTS:
            parser.error(f"there is no part {name!r}; give some of {', '.join(PARTS)}")
        PARTS[name](table, given.quick)
    print(f"\n{time.monotonic() - begin:.0f} s")
    if given.write:
        kept = {k: round(v, 3) for k, v in table.ratios.items() if BY_CLOCK not in k}
        new = _baseline() | kept
        BASELINE.write_text(json.dumps(new, indent=2) + "\n")
    return _verdict(table.ratios) if given.quick and BASELINE.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
