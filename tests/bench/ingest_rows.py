"""The rows of the bench's table that tell who takes in what, and at what cost."""

from collections.abc import Callable

from tests.bench import foreign, ingest
from tests.bench.held import figures, held
from tests.bench.ingest import Cost
from tests.bench.table import Table
from tests.support.servers.rabbitmq import rabbitmq

NOOP = "kombu, doing nothing"
STATE = "Celery's State in memory"
FLOWER = "Flower"
RECEIVER = "Herald's receiver alone"
ALONE = "Herald's monitor, all stored by one process"
MONITOR = "the same, with writing processes"

RATES = (5_000, 10_000, 20_000, 30_000, 45_000, 60_000)
HELD_FOR = 6.0
"""Seconds for which a rate is published to see whether it is held."""

SOAK = (4_000.0, 300.0)
"""Events a second, and for how long, to see whether memory stays flat."""


def measure_ingest(table: Table, quick: bool) -> None:
    """Compare who takes in most."""
    tasks, times = (10_000, 2) if quick else (50_000, 3)
    table.part(f"taking in, flooded with {4 * tasks} events; best of {times}")
    runs: dict[str, Callable[[], list[Cost]]] = {
        NOOP: lambda: [ingest.peer("noop", tasks)],
        STATE: lambda: [ingest.peer("state", tasks)],
        RECEIVER: lambda: [ingest.peer("receiver", tasks)],
        ALONE: lambda: ingest.monitor(tasks, writers=0),
        MONITOR: lambda: ingest.monitor(tasks),
        FLOWER: lambda: [foreign.flower(tasks)],
    }
    if reason := foreign.left_out():
        table.row(FLOWER, f"left out: {reason}")
        del runs[FLOWER]
    # In turns: whatever else the machine does falls on all of them.
    told: dict[str, list[Cost]] = {what: [] for what in runs}
    for _ in range(times):
        for what, run in runs.items():
            told[what] += run()
    best = {what: _best(costs) for what, costs in told.items()}
    for what, cost in best.items():
        table.row(what, _figures(cost))
    table.row("celery-exporter", f"left out: {foreign.EXPORTER}")
    _compare(table, best)


def _best(costs: list[Cost]) -> Cost:
    return Cost(
        max(c.rate for c in costs),
        min(c.cpu for c in costs),
        max(c.lost for c in costs),
        min(c.server for c in costs),
    )


def _figures(cost: Cost) -> str:
    figures = f"{cost.rate:8.0f}/s {cost.cpu:6.1f} µs CPU an event"
    figures += f" +{cost.server:5.1f} the store's" if cost.server else ""
    return figures + (f"  LOST {cost.lost}" if cost.lost else "")


def _compare(table: Table, best: dict[str, Cost]) -> None:
    """Print Herald beside each of its peers."""
    noop, alone, heard = best[NOOP], best[ALONE], best[RECEIVER]
    table.row("", "", "Herald's receiver alone: CPU of kombu's", heard.cpu / noop.cpu)
    table.row("", "", "Herald's monitor: CPU of kombu's", alone.cpu / noop.cpu)
    both = alone.cpu + alone.server
    table.row("", "", "Herald's monitor and store: CPU of kombu's", both / noop.cpu)
    for peer in (NOOP, STATE, FLOWER):
        if peer in best:
            slower = best[peer].rate / best[MONITOR].rate
            table.row("", "", f"Herald's monitor: time of {peer}", slower)
    if FLOWER in best:
        flower = best[FLOWER].cpu
        table.row("", "", "Herald's receiver: CPU of Flower's", heard.cpu / flower)
        table.row("", "", "Herald's monitor: CPU of Flower's", alone.cpu / flower)
        table.row("", "", "Herald's monitor and store: CPU of Flower's", both / flower)


def measure_rabbit(table: Table, quick: bool) -> None:
    """Compare the same on RabbitMQ."""
    tasks = 2_500 if quick else 10_000
    table.part(f"taking in on RabbitMQ, flooded with {4 * tasks} events")
    noop = ingest.peer("noop", tasks, rabbitmq)
    heard = ingest.peer("receiver", tasks, rabbitmq)
    [ours] = ingest.monitor(tasks, rabbitmq)
    for what, cost in ((NOOP, noop), (RECEIVER, heard), (MONITOR, ours)):
        table.row(what, _figures(cost))
    for what, cost in (("receiver", heard), ("monitor", ours)):
        ratio = f"Herald's {what} on RabbitMQ: CPU of kombu's"
        table.row("", "", ratio, cost.cpu / noop.cpu)


def measure_held(table: Table, quick: bool) -> None:
    """Find the highest rate that is kept up with, and hold one for long."""
    table.part("held, by a broker with Redis' own limits")
    best = 0.0
    for rate in RATES:
        told = held(rate, HELD_FOR)
        table.row(f"{rate}/s for {HELD_FOR:.0f} s", figures(told))
        if told.lost or told.rate < 0.9 * rate:
            break
        best = rate
    if best and not quick:
        seconds = 75.0
        table.row(f"{best:.0f}/s for {seconds:.0f} s", figures(held(best, seconds)))
        row = f"{SOAK[0]:.0f}/s for {SOAK[1]:.0f} s"
        table.row(row, figures(held(*SOAK)))
