"""Runs of tasks before and after a deploy, in a store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from herald_core.model.events.event import Event
from herald_core.store.ports import Store


def make_runs(
    name: str, runtime: float, count: int, until: float, failed: int = 0
) -> Iterator[Event]:
    """Yield events of `count` runs that ended in the ten minutes before `until`.

    Successful ones took `runtime` seconds; `failed` of them failed instead.
    """
    for number in range(count):
        at = until - 600.0 * (number + 1) / (count + 1)
        run: dict[str, Any] = {"task_id": f"{name}-{until:.0f}-{number}", "pid": 7}
        run |= {"host": "w1@h", "name": name}
        begin, clock = at - runtime, 3 * number
        yield Event(kind="received", at=begin, clock=clock + 1, **run)
        yield Event(kind="started", at=begin, clock=clock + 2, **run)
        if number < failed:
            yield Event(kind="failed", at=at, clock=clock + 3, **run)
        else:
            run |= {"runtime": runtime, "result": "1"}
            yield Event(kind="succeeded", at=at, clock=clock + 3, **run)


async def store_deploy(store: Store, at: float, now: float) -> None:
    """Store runs around a deploy `at`: `charge` becomes slower, `mail` fails more."""
    events = [
        *make_runs("shop.charge", 1.0, 60, at - 60),
        *make_runs("shop.charge", 4.5, 60, at + 660),
        *make_runs("shop.mail", 0.2, 60, at - 60, failed=2),
        *make_runs("shop.mail", 0.2, 60, at + 660, failed=40),
        *make_runs("shop.quiet", 0.2, 5, at - 60),
        *make_runs("shop.quiet", 0.2, 5, at + 660),
    ]
    await store.store(events, now=now)
