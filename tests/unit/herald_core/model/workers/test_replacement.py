"""Which worker took the place of one that is gone: names, times, and doubts."""

import time
from itertools import islice, product
from typing import Any

import pytest

from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.replacement import (
    find_replaced,
    find_silent,
    parse_pod,
    sort_by_silence,
)
from herald_core.model.workers.worker import OFFLINE, ONLINE, SILENT, WorkerView

NOW = 1_800_000_000.0
PATIENCE = 90.0
OLD = "celery@web-7d9c6bdf54-x2x4k"
SAME = "celery@web-7d9c6bdf54-kkz5b"
NEXT = "celery@web-5f7b8c9d44-wq9rt"


def one(
    name: str, state: str, heard: float = 0.0, started: float | None = 9_000.0
) -> WorkerView:
    """Return a worker that was heard and started so many seconds before now."""
    more: dict[str, Any] = {}
    if started is not None:
        more["started_at"] = to_rfc3339(NOW - started)
    at = to_rfc3339(NOW - heard)
    return WorkerView(id=name, hostname=name, state=state, last_heartbeat_at=at, **more)


def names(*workers: WorkerView) -> list[str]:
    return [worker.hostname for worker in find_replaced(workers, NOW, PATIENCE)]


@pytest.mark.parametrize(
    ("name", "pod"),
    [
        (OLD, ("celery@web", "7d9c6bdf54")),
        ("w1@shop-mail-68c5b44fcd-zd2xw", ("w1@shop-mail", "68c5b44fcd")),
        ("celery@web-0", None),
        ("celery@web-x2x4k", None),
        ("celery@ip-10-1-2-3", None),
        ("celery@ip-10-1-2-3.eu-west-1.compute.internal", None),
        ("celery@worker-production-green", None),
        ("celery@batch-7d9c6bdf54-x2x4k.svc", None),
        ("celery@9f86d081884c", None),
        ("celery@-7d9c6bdf54", None),
    ],
)
def test_only_pods_of_a_deployment_are_told_by_their_names(
    name: str, pod: tuple[str, str] | None
) -> None:
    assert parse_pod(name) == pod


@pytest.mark.parametrize("state", ["silent", "offline"])
@pytest.mark.parametrize("name", [SAME, NEXT])
def test_what_began_after_the_end_of_another_replaces_it(name: str, state: str) -> None:
    assert names(one(OLD, state, 500), one(name, "online", started=450)) == [OLD]


def test_a_new_template_replaces_what_began_before_it() -> None:
    # A rolling update starts the new pod before it ends the old one.
    assert names(one(OLD, "silent", 500), one(NEXT, "online", started=1_500)) == [OLD]


def test_all_that_were_replaced_are_told() -> None:
    olds = [one(OLD, "silent", 500), one(SAME, "offline", 400)]
    assert names(*olds, one(NEXT, "online", started=300)) == [OLD, SAME]


@pytest.mark.parametrize(
    "workers",
    [
        [one(OLD, "silent", 500)],
        [one(OLD, "silent", 80), one(NEXT, "online", started=60)],
        [one(OLD, "online", 500), one(NEXT, "online", started=60)],
        [one(OLD, "draining", 500), one(NEXT, "online", started=60)],
        [one(OLD, "silent", 500), one(NEXT, "silent", 400, started=450)],
        [one(OLD, "silent", 500), one(NEXT, "draining", started=450)],
        [one(OLD, "silent", 500), one(NEXT, "online", started=None)],
        [one(OLD, "silent", 500), one(NEXT, "online", started=9_500)],
    ],
    ids=[
        *("alone", "lately heard", "lives", "leaves"),
        *("both silent", "new one leaves", "since when unknown", "older"),
    ],
)
def test_what_may_come_back_or_was_not_replaced_stays(
    workers: list[WorkerView],
) -> None:
    assert names(*workers) == []


def test_a_twin_of_the_same_template_is_no_replacement() -> None:
    assert names(one(OLD, "silent", 500), one(SAME, "online", started=8_000)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("celery@web-0", "celery@web-1"),
        ("celery@ip-10-1-2-3", "celery@ip-10-1-2-4"),
        ("celery@web-x2x4k", "celery@web-kkz5b"),
        (OLD, "celery@mail-7d9c6bdf54-kkz5b"),
        (OLD, "beat@web-7d9c6bdf54-kkz5b"),
    ],
)
def test_other_names_are_not_guessed_from(old: str, new: str) -> None:
    assert names(one(old, "silent", 500), one(new, "online", started=60)) == []


def test_many_pods_are_compared_in_little_time() -> None:
    alphabet = "bcdfghjklmnpqrstvwxz"
    suffixes = ["".join(five) for five in islice(product(alphabet, repeat=5), 10_000)]
    pods = [
        one(f"web-7d9c6bdf54-{suffix}", ONLINE if i % 2 else SILENT, 100.0, 200.0)
        for i, suffix in enumerate(suffixes)
    ]
    began = time.process_time()
    assert len(names(*pods)) == 0
    assert time.process_time() - began < 1.0


def test_the_workers_that_are_gone_for_long_are_found() -> None:
    workers = [
        one(OLD, SILENT, 100.0),
        one(SAME, SILENT, 5.0),
        one(NEXT, ONLINE, 900.0),
    ]
    assert find_silent(workers, NOW, 50.0) == workers[:1]


def test_who_said_goodbye_leaves_before_who_fell_silent_longest() -> None:
    silent, longer = one(OLD, SILENT, 5.0), one(SAME, SILENT, 50.0)
    left = one(NEXT, OFFLINE, 1.0)
    assert sort_by_silence([silent, longer, left]) == [left, longer, silent]


def test_a_worker_whose_start_is_unknown_is_replaced_by_a_later_template() -> None:
    old = one(OLD, SILENT, 500.0, None)
    assert names(old, one(NEXT, ONLINE, 0.0, 100.0)) == [OLD]
