"""A recorded stream of events, stored with a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.golden.product import (
    Event,
    Gap,
    MonitorView,
    QueueView,
    RedisStore,
    parse_events,
)
from tests.support.environment import ROOT

FOLDER = ROOT / "tests" / "recordings"
RECORDING = "prefork-redis"
SCENARIOS = (
    *("add", "fail", "retry2", "replace", "progress+update_state", "unknown task"),
    *("Reject requeue=True", "expires in past", "revoke an ETA task", "chain(3)"),
    "worker SIGKILL, whole tree, mid-task (acks_early)",
)
BATCH = 12
"""Messages that are stored together."""

EPOCH = 4_102_444_800_000
"""In 2100: the store opens the next epoch after it, whatever its clock says."""

SENT = ("sent-by-herald-1", "sent-by-herald-2")
GROUP = "group-of-herald"


class Batch(NamedTuple):
    """Messages that were heard together, the last of them at `now` (unix seconds)."""

    messages: list[dict[str, Any]]
    now: float


def batches() -> Iterator[Batch]:
    """Yield the recorded messages about one task a scenario, and all of workers."""
    chosen = _chosen()
    messages: list[dict[str, Any]] = []
    with (FOLDER / f"{RECORDING}.events.jsonl").open() as lines:
        for line in lines:
            message = json.loads(line)
            message["events"] = [
                event
                for event in message["events"]
                if event.get("uuid", "worker") in chosen
            ]
            if message["events"]:
                messages.append(message)
    for start in range(0, len(messages), BATCH):
        part = messages[start : start + BATCH]
        yield Batch(part, part[-1]["heard"])


def _chosen() -> set[str]:
    first: dict[str, str] = {}
    with (FOLDER / f"{RECORDING}.truth.jsonl").open() as lines:
        for truth in map(json.loads, lines):
            first.setdefault(truth["scenario"], truth["id"])
    return {"worker", *(first[scenario] for scenario in SCENARIOS)}


async def store_stream(
    store: RedisStore, shift: float = 0.0, freq: float | None = None
) -> float:
    """Store the stream and one record of every other kind; return the last time.

    All times are `shift` seconds later than recorded. `freq` is the interval in seconds
    in which workers say that they speak; by default as recorded.
    """
    now = 0.0
    for batch in batches():
        now = batch.now + shift
        for message in batch.messages:
            for event in message["events"]:
                event["timestamp"] += shift
                if freq is not None and "freq" in event:
                    event["freq"] = freq
        heard = [parse_events(m["events"], m["heard"] + shift) for m in batch.messages]
        events = [event for some, _ in heard for event in some]
        workers = [worker for _, some in heard for worker in some]
        await store.store(events, workers, now=now)
    await _store_the_rest(store, now)
    return now


async def _store_the_rest(store: RedisStore, now: float) -> None:
    await store.store([_sent(number, now) for number in (0, 1)], now=now)
    await store.store_queues([_queue(now)], now=now)
    await store.open_gap(_gap(now))
    await store.put_item("golden", "note", b'{"text":"kept"}', 3_600.0)
    await store.push_line("golden", b'{"line":1}', 10, 3_600.0)
    await store.acquire_lease("golden", "node-1", 600.0)
    time = _time(now)
    monitor = MonitorView(
        id="monitor-1",
        started_at=time,
        seen_at=time,
        connected=True,
        broker="redis",
        counters={"events": 7},
    )
    await store.record_heartbeat(monitor, now=now)


def _sent(number: int, now: float) -> Event:
    """Return what Herald tells of a task that it sends itself."""
    return Event(
        kind="sent",
        source="submitted",
        task_id=SENT[number],
        at=now,
        retries=0,
        name="reports.monthly",
        args="()",
        kwargs="{'month': '2026-11'}",
        root_id=SENT[0],
        parent_id=SENT[0] if number else None,
        group_id=GROUP,
        queue="reports",
        priority=3,
        tags=("tenant:7",),
        eta=now + 60,
        expires=now + 600,
    )


def _queue(now: float) -> QueueView:
    return QueueView(
        id="celery",
        name="celery",
        depth=4,
        unacked=1,
        oldest_at=_time(now - 30),
        consumers=("w1@h",),
        consumer_count=1,
        in_per_minute=2.5,
        as_of=_time(now),
    )


def _gap(now: float) -> Gap:
    return Gap(
        id="gap-1",
        since=_time(now - 10),
        until=_time(now - 5),
        reason="the broker went away",
        monitor="monitor-1",
        missing=2,
    )


def _time(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
