"""Measure Herald beside its floors: `poe bench`, `python -m tests.bench [--quick]`.

One table, floors and peers measured in the same run. `--quick` takes less than
two minutes and compares the ratios with baseline.json: it fails if one is worse
by more than 30 %. Absolute figures are never compared. `--write` makes the ratios
of this run the new baseline. `--only ingest,store,latency,start` leaves out the rest.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from herald_monitor.redis_store import RedisStore
from tests.bench import ingest, latency
from tests.bench.floors import blobs
from tests.bench.startup import startup
from tests.bench.store import PREFIX, used, write
from tests.servers import private_valkey

BASELINE = Path(__file__).parent / "baseline.json"
TOLERATED = 1.3
RATES = (5_000, 10_000, 20_000, 30_000, 40_000, 50_000)
HELD_FOR = 6.0
"""Seconds for which a rate is published to see whether it is held."""


class Table:
    """What was measured, printed as it comes. Ratios: the lower, the better."""

    def __init__(self) -> None:
        self.ratios: dict[str, float] = {}

    def part(self, title: str) -> None:
        """Begin a part of the table."""
        print(f"\n{title}", flush=True)

    def row(self, what: str, figures: str, ratio: str = "", value: float = 0.0) -> None:
        """Print a row; a `ratio` of ours is kept by that name."""
        beside = f"{value:8.2f} of {ratio.partition(': ')[2]}" if ratio else ""
        if ratio and not ratio.startswith("Celery"):
            self.ratios[ratio] = value
        print(f"  {what:34}{figures:48}{beside}", flush=True)


def measure_ingest(table: Table, quick: bool) -> None:
    """Compare who takes in most."""
    tasks, times = (6_000, 2) if quick else (25_000, 3)
    table.part(f"taking in, flooded with {4 * tasks} events; best of {times}")
    runs: list[tuple[str, Callable[[], ingest.Cost]]] = [
        ("kombu, EventReceiver doing nothing", lambda: ingest.peer("noop", tasks)),
        ("Celery's State in memory", lambda: ingest.peer("state", tasks)),
        ("Herald's receiver alone", lambda: ingest.peer("receiver", tasks)),
        ("Herald's monitor, all stored", lambda: ingest.monitor(tasks)),
    ]
    # In turns: whatever else the machine does falls on all of them.
    told: dict[str, list[ingest.Cost]] = {what: [] for what, _ in runs}
    for _ in range(times):
        for what, run in runs:
            told[what].append(run())
    noop, *_ = best = [_best(costs) for costs in told.values()]
    for (what, _), cost in zip(runs, best, strict=True):
        _ingest_row(table, what, cost, noop)
    if not quick:
        _held(table, noop)


def _best(costs: list[ingest.Cost]) -> ingest.Cost:
    return ingest.Cost(
        max(c.rate for c in costs),
        min(c.cpu for c in costs),
        max(c.lost for c in costs),
        min(c.server for c in costs),
    )


def _ingest_row(table: Table, what: str, cost: ingest.Cost, noop: ingest.Cost) -> None:
    figures = f"{cost.rate:8.0f}/s {cost.cpu:6.1f} µs CPU an event"
    figures += f" +{cost.server:5.1f} the store's" if cost.server else ""
    figures += f"  LOST {cost.lost}" if cost.lost else ""
    if what.startswith("kombu"):
        table.row(what, figures)
        return
    name = what.partition(",")[0]
    table.row(what, figures, f"{name}: CPU of kombu's", cost.cpu / noop.cpu)
    slower = noop.rate / cost.rate
    table.row("", "", f"{name}: time that kombu takes", slower)


def _held(table: Table, noop: ingest.Cost) -> None:
    """Find the highest rate that the monitor keeps up with."""
    held = 0.0
    for rate in RATES:
        cost = ingest.monitor(int(rate * HELD_FOR / 4), rate)
        if cost.lost or cost.rate < 0.9 * rate:
            break
        held = rate
    figures = f"{held:8.0f}/s held for {HELD_FOR:.0f} s without loss or backlog"
    table.row("Herald's monitor, paced", figures)


def measure_store(table: Table, quick: bool) -> None:
    """Compare storing with blobs, and count bytes."""
    tasks = 5_000 if quick else 50_000
    table.part(f"storing {tasks} tasks, in batches of 200 events")
    floor = min(_floor(tasks) for _ in range(2))
    table.row("SET, ZADD, XADD by redis-py", f"{floor:8.1f} µs CPU an event")
    kept = 0.0
    for spread in (True, False):
        runs = [_stored(tasks, spread) for _ in range(2)]
        own = min(run["our CPU, µs an event"] for run in runs)
        served = min(run["server's CPU, µs an event"] for run in runs)
        kept = runs[0]["bytes"]
        name = f"store, {'one event' if spread else 'four events'} a task a batch"
        figures = f"{own:8.1f} µs CPU an event + {served:5.1f} the server's"
        table.row(name, figures, f"{name}: CPU of redis-py's", own / floor)
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
        ratio = f"event to frame, {rate:.0f}/s: p50 of pub/sub"
        value = told.p50 / floor.p50
        table.row(f"event → frame, {rate:.0f}/s", _quantiles(told), ratio, value)


def _quantiles(told: latency.Latency) -> str:
    missing = told.published - told.told
    lost = f"  NOT TOLD {missing}" if missing else ""
    return f"p50 {told.p50:7.2f}  p99 {told.p99:7.2f}{lost}"


def measure_start(table: Table, quick: bool) -> None:
    """Compare starting with starting Python."""
    table.part("starting, milliseconds, best of some")
    told = startup(9 if quick else 15)
    for what, took in told.items():
        if what.startswith("herald"):
            ratio = f"{what}: starts of Python"
            table.row(what, f"{took:8.0f}", ratio, took / told["python"])
        else:
            table.row(what, f"{took:8.0f}")


PARTS = {
    "ingest": measure_ingest,
    "store": measure_store,
    "latency": measure_latency,
    "start": measure_start,
}


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
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    begin, table = time.monotonic(), Table()
    for name in given.only.split(","):
        if name not in PARTS:
            parser.error(f"there is no part {name!r}; give some of {', '.join(PARTS)}")
        PARTS[name](table, given.quick)
    print(f"\n{time.monotonic() - begin:.0f} s")
    if given.write:
        new = _baseline() | {k: round(v, 3) for k, v in table.ratios.items()}
        BASELINE.write_text(json.dumps(new, indent=2) + "\n")
    return _verdict(table.ratios) if given.quick and BASELINE.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
