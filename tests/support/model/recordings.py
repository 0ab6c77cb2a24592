"""What real workers said, from `tests/recordings`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from herald_core.model.events.event import Event, parse_event
from tests.support.environment import ROOT

FOLDER = ROOT / "tests" / "recordings"
RECORDINGS = ("prefork-redis", "threads-redis", "prefork-amqp")


class Recorded(NamedTuple):
    """One task: what was heard of it, in that order, and what became of it."""

    recording: str
    scenario: str
    celery_state: str | None
    backend: str | None
    events: tuple[Event, ...]

    def __str__(self) -> str:
        return f"{self.recording}: {self.scenario} ({self.events[0].task_id[:8]})"


def raw(recording: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield each event of a recording as it travelled, and when it was heard."""
    with (FOLDER / f"{recording}.events.jsonl").open() as lines:
        for line in lines:
            message = json.loads(line)
            for event in message["events"]:
                yield event, message["heard"]


@cache
def recorded_tasks() -> tuple[Recorded, ...]:
    """Return every task of every recording."""
    return tuple(task for name in RECORDINGS for task in _tasks(name))


def _tasks(recording: str) -> Iterator[Recorded]:
    told: dict[str, list[Event]] = {}
    for event, heard in raw(recording):
        parsed = parse_event(event, heard)
        if parsed is not None:
            told.setdefault(parsed.task_id, []).append(parsed)
    with (FOLDER / f"{recording}.truth.jsonl").open() as lines:
        truths = {truth["id"]: truth for truth in map(json.loads, lines)}
    for id_, events in told.items():
        truth = truths[id_]
        yield Recorded(
            recording,
            truth["scenario"],
            truth["celery_state"],
            truth["backend"],
            tuple(events),
        )
