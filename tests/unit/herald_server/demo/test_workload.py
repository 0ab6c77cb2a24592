"""The trickle: what it plans, and how it is sent and stopped."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import islice

from herald_server.catalog.catalog import Catalog
from herald_server.demo import task_names
from herald_server.demo.workload import Piece, Trickle, plan

TODAY = date(2026, 11, 22)
SAMPLES = {
    task_names.IMPORT_ABSENCES,
    task_names.NOTE_PRESENCE,
    task_names.SEARCH_ROSTER,
    task_names.SYNC_CALENDAR,
}


def pieces(seed: int, count: int) -> list[Piece]:
    return list(islice(plan(seed, TODAY), count))


def test_the_same_seed_gives_the_same_plan() -> None:
    assert pieces(1, 200) == pieces(1, 200)
    assert pieces(1, 200) != pieces(2, 200)


def test_every_kind_comes_in_the_first_round() -> None:
    names = {piece.task_name for piece in pieces(1, 16)}
    assert names == SAMPLES | {kind.celery_name for kind in Catalog()}


def test_the_catalog_takes_all_that_is_planned() -> None:
    for piece in pieces(3, 500):
        kind = Catalog().find_by_celery_name(piece.task_name)
        if kind is None:
            assert piece.task_name in SAMPLES
        else:
            assert kind.check_params(piece.kwargs, TODAY) == dict(piece.kwargs)


def test_something_comes_each_second_or_so_and_no_pause_is_long() -> None:
    pauses = [piece.after for piece in pieces(4, 2000)]
    assert 0.9 < sum(pauses) / len(pauses) < 1.3
    assert max(pauses) <= 3.6


def test_only_the_long_search_is_revoked_and_now_and_then() -> None:
    revoked = [piece for piece in pieces(5, 1000) if piece.revoke_after is not None]
    assert {piece.task_name for piece in revoked} == {task_names.SEARCH_ROSTER}
    assert 5 <= len(revoked) <= 50


class Broker:
    """Remembers what was sent and revoked; refuses what it is told to refuse."""

    def __init__(self, refuse: Iterable[str] = ()) -> None:
        self.sent: list[str] = []
        self.revoked: list[str] = []
        self._refuse = set(refuse)

    def submit(self, task_name: str, kwargs: Mapping[str, object]) -> str:
        if task_name in self._refuse:
            raise ConnectionError("no broker")
        self.sent.append(task_name)
        return f"id of {task_name}"

    def revoke(self, task_id: str) -> None:
        self.revoked.append(task_id)


def test_all_is_sent_in_order_and_what_is_planned_so_is_revoked() -> None:
    broker = Broker()
    work = [
        Piece(0, "a", {}, revoke_after=0.05),
        Piece(0.01, "b", {}),
        Piece(0, "c", {}),
    ]
    Trickle(work, broker.submit, broker.revoke).run(threading.Event())
    assert broker.sent == ["a", "b", "c"]
    assert broker.revoked == ["id of a"]


def test_a_refusal_is_no_end() -> None:
    broker = Broker(refuse={"a"})
    work = [Piece(0, "a", {}, revoke_after=0.0), Piece(0, "b", {})]
    Trickle(work, broker.submit, broker.revoke).run(threading.Event())
    assert broker.sent == ["b"]
    assert broker.revoked == []


def test_it_stops_at_once() -> None:
    def endless() -> Iterator[Piece]:
        yield Piece(0, "a", {}, revoke_after=60)
        while True:
            yield Piece(60, "b", {})

    broker, stop = Broker(), threading.Event()
    trickle = Trickle(endless(), broker.submit, broker.revoke)
    thread = threading.Thread(target=trickle.run, args=(stop,))
    thread.start()
    started = time.monotonic()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert time.monotonic() - started < 20
    assert broker.revoked == []


def test_the_plan_is_mostly_short_work() -> None:
    count = Counter(piece.task_name for piece in pieces(6, 1000))
    long = Catalog()["resilience_fallback_precompute"].celery_name
    short = Catalog()["resilience_health_check"].celery_name
    assert count[short] > 5 * count[long]
