"""Measure what telling costs, without sockets: `python -m tests.bench.fanout`.

Prints what a change costs the hub as watchers of other things grow in number,
what a change costs for each watcher that is told, and how much of a frame's cost
is joining its bytes (what sharing frames between watchers could save).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from random import Random

from herald_core.model.changes import TASK, Change, LogEntry
from herald_core.model.codec import to_json
from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter, PreviousValues
from herald_core.model.tasks.views import TaskView
from herald_server.push.log.hub import Hub, Subscriber, is_relevant
from herald_server.push.protocol.messages import SubscribeMessage
from herald_server.push.session.session import Session
from herald_server.push.session.subscription import DataFrame, Subscription

EPOCH = 1_800_000_000_000
TASKS = 100_000
TEXT = "('an argument', 4711, 'and another one of usual length')"


def change_of(n: int, number: int, random: Random) -> Change:
    """Return the change of a random task."""
    id_ = f"task-{random.randrange(TASKS):08}-0000-4000-8000-000000000000"
    cursor = Cursor(EPOCH, n)
    rev = f"{cursor}.{number}"
    task = TaskView(
        id=id_,
        name=f"shop.orders.{number % 20}",
        state="STARTED",
        worker=f"celery@worker-{number % 8}",
        queue="celery",
        args=TEXT,
        rev=rev,
    )
    before = PreviousValues("RECEIVED", None, "celery")
    return Change(TASK, id_, rev, (cursor, number), to_json(task), task, before)


def entries(count: int, changes: int) -> list[LogEntry]:
    """Return `count` entries of so many changes each."""
    random = Random(7)
    return [
        LogEntry(
            Cursor(EPOCH, n), tuple(change_of(n, i, random) for i in range(changes))
        )
        for n in range(1, count + 1)
    ]


def best(job: Callable[[], None], laps: int = 5) -> float:
    """Return the least seconds of CPU that `job` took."""
    taken: list[float] = []
    for _ in range(laps):
        begun = time.process_time()
        job()
        taken.append(time.process_time() - begun)
    return min(taken)


def watching(filters: list[Filter]) -> tuple[Hub, list[Subscriber]]:
    """Return a hub with a watcher for each filter."""
    hub = Hub()
    watchers = [Subscriber(filter_, lambda: None) for filter_ in filters]
    for watcher in watchers:
        hub.subscribe(watcher)
    return hub, watchers


def one_id_each(number: int) -> list[Filter]:
    """Return filters on one id of all, each another one."""
    random = Random(1)
    ids = random.sample(range(TASKS), number)
    return [Filter(ids=(f"task-{id_:08}-0000-4000-8000-000000000000",)) for id_ in ids]


KINDS: dict[str, Callable[[int], list[Filter]]] = {
    "one id each": one_id_each,
    "one name each": lambda n: [Filter(name=(f"mail.{i}",)) for i in range(n)],
    "one worker each": lambda n: [Filter(worker=(f"w{i}@h",)) for i in range(n)],
    "one glob each": lambda n: [Filter(name=(f"mail.{i}.*",)) for i in range(n)],
    "all the same glob": lambda n: [Filter(name=("mail.*",))] * n,
}


def unconcerned() -> None:
    """Print what a change costs that (nearly) no subscription matches."""
    told = entries(40, 50)
    count = 40 * 50
    print("A change that concerns nobody, µs of CPU in the hub:")
    print(f"  {'watchers of':<20}{'10':>9}{'1,000':>9}{'1,000, asking each':>21}")
    for name, make in KINDS.items():
        few, _ = watching(make(10))
        many, _ = watching(make(1_000))
        costs = [_hub_cost(hub, told) / count * 1e6 for hub in (few, many)]
        scan = _scan_cost(make(1_000), told[:2]) / 100 * 1e6
        print(f"  {name:<20}{costs[0]:>9.2f}{costs[1]:>9.2f}{scan:>21.1f}")


def _hub_cost(hub: Hub, told: list[LogEntry]) -> float:
    return best(lambda: _publish(hub, told))


def _scan_cost(filters: list[Filter], told: list[LogEntry]) -> float:
    return best(lambda: _scan(filters, told), 2)


def _publish(hub: Hub, told: list[LogEntry]) -> None:
    for entry in told:
        for watcher in hub.offer(entry.changes):
            watcher.drain()


def _scan(filters: list[Filter], told: list[LogEntry]) -> None:
    for entry in told:
        for change in entry.changes:
            for filter_ in filters:
                is_relevant(filter_, change)


def everybody(number: int) -> None:
    """Print what a change costs for each of many who watch everything."""
    print(f"\n{number:,} watchers of everything, µs of CPU a delivered change:")
    print(f"  {'changes a frame':<20}{'hub':>9}{'frames':>9}{'joining alone':>16}")
    for size in (1, 10, 50):
        told = entries(max(100 // size, 4), size)
        hub_s, frame_s = _delivered(number, told)
        delivered = number * size * len(told)
        join = _joined(told[0]) / size
        print(
            f"  {size:<20}{hub_s / delivered * 1e6:>9.2f}"
            f"{frame_s / delivered * 1e6:>9.2f}{join:>16.2f}"
        )


def _delivered(number: int, told: list[LogEntry]) -> tuple[float, float]:
    """Return seconds in the hub, and in sessions that make frames of it."""
    hub = Hub()
    sessions = [Session(hub, lambda: None) for _ in range(number)]
    for session in sessions:
        session.subscribe(SubscribeMessage("all", Filter(), TASK), 0.0)
        read = session.read_requests.pop(0)
        read.sub.resume(hub.pos)
        session.on_page(read, [])
        session.on_snapshot_end(read, hub.pos)
        session.take_data_frames(0.0)
    in_hub = in_sessions = 0.0
    for entry in told:
        begun = time.process_time()
        hub.publish(entry)
        done = time.process_time()
        for session in sessions:
            session.take_data_frames(0.0)
        in_hub += done - begun
        in_sessions += time.process_time() - done
    return in_hub, in_sessions


def _joined(entry: LogEntry) -> float:
    """Return the µs that joining one frame takes."""
    images = [change.json for change in entry.changes]
    laps = 2_000

    def join() -> None:
        for _ in range(laps):
            DataFrame("all", images, []).encode(entry.cursor)

    return best(join) / laps * 1e6


def subscribing() -> None:
    """Print what it costs to come and go among many."""
    hub, _ = watching(one_id_each(10_000))
    wish = SubscribeMessage("one", Filter(ids=("x",)), TASK)

    def come_and_go() -> None:
        for _ in range(1_000):
            sub = Subscription(wish, lambda: None)
            hub.subscribe(sub.subscriber)
            hub.unsubscribe(sub.subscriber)

    taken = statistics.median([best(come_and_go, 1) for _ in range(5)])
    print(f"\nTo come and go among 10,000 watchers: {taken * 1e3:.2f} µs")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What telling costs.")
    parser.add_argument("--watchers", type=int, default=1_000)
    given = parser.parse_args()
    unconcerned()
    everybody(given.watchers)
    subscribing()


if __name__ == "__main__":
    main()
