"""A trickle of natural work: first the plan, which is pure; then the sending."""

from __future__ import annotations

import heapq
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Final

from herald_server.catalog.shipped import METRICS, RESILIENCE
from herald_server.demo.planning.schedule import SERVICES
from herald_server.demo.planning.seeding import RUN_IDS
from herald_server.demo.task_names import (
    IMPORT_ABSENCES,
    NOTE_PRESENCE,
    SEARCH_ROSTER,
    SYNC_CALENDAR,
)

MEAN_PAUSE_SECONDS: Final = 1.2

logger = logging.getLogger(__name__)

Kwargs = dict[str, object]


@dataclass(frozen=True, slots=True)
class Piece:
    """One task to submit `after` seconds, and to revoke so much later if at all."""

    after: float
    task_name: str
    kwargs: Mapping[str, object]
    revoke_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    weight: float
    task_name: str
    kwargs: Callable[[random.Random, date], Kwargs]
    revoked: bool = False


def _none(rng: random.Random, today: date) -> Kwargs:
    return {}


def _days(*choices: int) -> Callable[[random.Random, date], Kwargs]:
    return lambda rng, today: {"days_ahead": rng.choice(choices)}


def _period(rng: random.Random, today: date) -> Kwargs:
    start = today + timedelta(days=rng.randrange(30))
    end = start + timedelta(days=rng.choice((13, 27, 89)))
    return {"start_date": start.isoformat(), "end_date": end.isoformat()}


def _crisis(rng: random.Random, today: date) -> Kwargs:
    reasons = ("influenza on the wards", "storm warning", "bus accident", "flooding")
    return {
        "severity": rng.choice(("minor", "moderate", "severe")),
        "reason": rng.choice(reasons),
        "approved_by": "chief resident",
    }


def _runs(rng: random.Random, today: date) -> Kwargs:
    return {"run_id_1": RUN_IDS[0], "run_id_2": RUN_IDS[1]}


def _batch(rng: random.Random, today: date) -> Kwargs:
    return {"batch": rng.randrange(1000)}


def _service(rng: random.Random, today: date) -> Kwargs:
    return {"service": rng.choice(SERVICES).name}


def _rounds(*choices: int) -> Callable[[random.Random, date], Kwargs]:
    return lambda rng, today: {"rounds": rng.choice(choices)}


def _number(name: str, *choices: int) -> Callable[[random.Random, date], Kwargs]:
    return lambda rng, today: {name: rng.choice(choices)}


_HEALTH, _CONTINGENCY, _FALLBACK, _FORECAST, _CRISIS = (
    kind.celery_name for kind in RESILIENCE
)
_COMPUTE, _SNAPSHOT, _CLEANUP, _FAIRNESS, _DIFF = (kind.celery_name for kind in METRICS)

KINDS: Final = (
    _Kind(18, _HEALTH, _none),
    _Kind(5, _CONTINGENCY, _days(6, 13, 27)),
    _Kind(1, _CONTINGENCY, _days(90)),
    _Kind(2, _FALLBACK, _days(6, 13)),
    _Kind(9, _FORECAST, _days(14, 30, 90)),
    _Kind(2, _CRISIS, _crisis),
    _Kind(10, _COMPUTE, _period),
    _Kind(8, _SNAPSHOT, _number("period_days", 14, 30, 90)),
    _Kind(3, _CLEANUP, _number("retention_days", 365, 400)),
    _Kind(8, _FAIRNESS, _number("weeks_back", 4, 8, 12)),
    _Kind(7, _DIFF, _runs),
    _Kind(10, IMPORT_ABSENCES, _batch),
    _Kind(6, SYNC_CALENDAR, _service),
    _Kind(8, NOTE_PRESENCE, _none),
    _Kind(3, SEARCH_ROSTER, _rounds(100, 200, 400)),
    _Kind(2, SEARCH_ROSTER, _rounds(8000), revoked=True),
)


def plan(
    seed: int, today: date, mean_pause: float = MEAN_PAUSE_SECONDS
) -> Iterator[Piece]:
    """Plan work without end: the same seed and day give the same plan.

    The first round has each kind once, so that all can be seen early.
    """
    rng = random.Random(f"trickle:{seed}")
    weights = [kind.weight for kind in KINDS]
    for kind in sorted(KINDS, key=lambda kind: -kind.weight):
        yield _piece(kind, rng, today, mean_pause)
    while True:
        (kind,) = rng.choices(KINDS, weights)
        yield _piece(kind, rng, today, mean_pause)


def _piece(kind: _Kind, rng: random.Random, today: date, mean_pause: float) -> Piece:
    # Work comes at random; but no pause is so long that nothing moves.
    after = min(rng.expovariate(1 / mean_pause), 3 * mean_pause)
    revoke_after = rng.uniform(1.5, 6.0) if kind.revoked else None
    return Piece(after, kind.task_name, kind.kwargs(rng, today), revoke_after)


class Trickle:
    """Submits a plan piece by piece until it is told to stop.

    `submit(task_name, kwargs)` returns the task id; `revoke(task_id)` is called
    for those that the plan has revoked. What either raises is logged, and the
    trickle goes on: a broker may come back.
    """

    def __init__(
        self,
        pieces: Iterable[Piece],
        submit: Callable[[str, Mapping[str, object]], str],
        revoke: Callable[[str], object],
    ) -> None:
        self._pieces = pieces
        self._submit = submit
        self._revoke = revoke
        self._to_revoke: list[tuple[float, str]] = []

    def run(self, stop: threading.Event) -> None:
        """Submit until `stop` is set, or the plan ends; blocks."""
        due = time.monotonic()
        for piece in self._pieces:
            due += piece.after
            if not self._wait_until(due, stop):
                return
            self._send(piece)
        self._wait_until(max(self._to_revoke, default=(due, ""))[0], stop)

    def _wait_until(self, due: float, stop: threading.Event) -> bool:
        while self._to_revoke and self._to_revoke[0][0] <= due:
            when, task_id = heapq.heappop(self._to_revoke)
            if stop.wait(max(0.0, when - time.monotonic())):
                return False
            self._try("revoke", partial(self._revoke, task_id))
        return not stop.wait(max(0.0, due - time.monotonic()))

    def _send(self, piece: Piece) -> None:
        task_id = self._try(
            "submit", partial(self._submit, piece.task_name, piece.kwargs)
        )
        if isinstance(task_id, str) and piece.revoke_after is not None:
            when = time.monotonic() + piece.revoke_after
            heapq.heappush(self._to_revoke, (when, task_id))

    def _try(self, what: str, do: Callable[[], object]) -> object:
        try:
            return do()
        except Exception as error:
            logger.warning("could not %s a sample task: %s", what, error)
            return None
