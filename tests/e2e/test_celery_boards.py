"""The published boards and alerts of celery-exporter, in a real Prometheus.

Each expression of celery-mixin is queried over a live workload.
"""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from tests.support.celery.default_project import Stranger
from tests.support.herald.process import HeraldProcess
from tests.support.metrics.boards import Boards, boards
from tests.support.metrics.celery_exporter import celery_exporter, install_exporter
from tests.support.metrics.celery_mixin import NAMESPACE
from tests.support.metrics.prometheus import Values, is_same
from tests.support.metrics.shop_work import ONCE, RUN_NUMBERS, ShopWork, read_counts
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.timeout(300)]

OURS, THEIRS = "celery-herald", "celery-exporter"
COUNTED = [ONCE | counted for counted in RUN_NUMBERS.values()]
WORDS = frozenset(word for counted in COUNTED for word in counted)
SLOW_SCRAPE_S = 4.0
"""Seconds: celery-exporter asks all workers, twice, before it answers."""

WAITING = 101
"""Messages: one more than the limit of CeleryHighQueueLength."""


@pytest.fixture
def shop(tmp_path: Path, valkey: PrivateValkey) -> Iterator[Stranger]:
    backend = valkey.url.rpartition("/")[0] + "/3"
    project = Stranger(tmp_path / "shop", valkey.url, backend, "prefork")
    cast(Any, project.app).conf.task_send_sent_event = True
    yield project
    project.stop()


@pytest.fixture
def herald(tmp_path: Path, valkey: PrivateValkey) -> Iterator[str]:
    """The address of a Herald that listens to the shop's broker."""
    process = HeraldProcess(tmp_path / "up.log", "up", "--broker", valkey.url)
    process.start()
    yield urlsplit(process.url).netloc
    process.stop()


def has_worker(address: str) -> bool:
    return read_counts(address)["celery_worker_up", ""] == 1


def begin(shop: Stranger, targets: dict[str, str]) -> ShopWork:
    """Start a worker that all targets know, and let it run one task of each kind."""
    shop.start_worker(2, "-E")
    for address in targets.values():
        wait_until(partial(has_worker, address), 30)
    work = ShopWork(shop)
    work.send_all(1)
    return work


def find_empty(found: dict[str, Values]) -> list[str]:
    """Return the queries without a value."""
    return [
        query
        for query, values in found.items()
        if all(math.isnan(value) for value in values.values())
    ]


def find_increase(found: dict[str, Values], word: str) -> float:
    """Return the increase of a counter that the board of all tasks shows."""
    start = f"sum(increase(celery_task_{word}_total"
    query = next(one for one in found if one.startswith(start) and "[6h]" in one)
    return sum(found[query].values())


def test_each_query_of_the_boards_has_its_value(
    herald: str, shop: Stranger, tmp_path: Path
) -> None:
    work = begin(shop, {OURS: herald})
    with boards(tmp_path, {OURS: herald}, work, 1.0) as shown:
        found = shown.read(OURS, at := shown.send_burst())
        alerts = shown.read_alerts(at)
        offered = shown.list_variables(OURS)
    assert find_empty(found) == []
    increases = {word: find_increase(found, word) for word in WORDS}
    expected = {word: sum(one.get(word, 0) for one in COUNTED) for word in WORDS}
    share = increases["received"] / expected["received"]
    assert increases == pytest.approx({w: n * share for w, n in expected.items()})
    assert alerts["CeleryTaskHighFailRate"] == {
        OURS: {
            frozenset(
                {"name": name, "namespace": NAMESPACE, "queue_name": "celery"}.items()
            ): 100
            for name in ("shop.refuse", "shop.decline")
        }
    }
    assert list(offered.values()) == [["celery"], sorted(RUN_NUMBERS), ["celery"]]


@pytest.mark.soak
def test_each_query_of_the_boards_has_the_value_that_celery_exporter_gives(
    herald: str, shop: Stranger, valkey: PrivateValkey, tmp_path: Path
) -> None:
    python = install_exporter(tmp_path / "exporter")
    with celery_exporter(python, valkey.url, tmp_path / "exporter.log") as exporter:
        targets = {OURS: herald, THEIRS: exporter}
        work = begin(shop, targets)
        with boards(tmp_path, targets, work, SLOW_SCRAPE_S) as shown:
            task_id = work.occupy(120)
            _compare(shown, shown.send_burst(), {"CeleryTaskHighFailRate"})
            work.terminate(task_id)
            shown.wait_for_sample()
            shop.stop_worker()
            work.pile_up(WAITING)
            alerts = {"CeleryHighQueueLength", "CeleryWorkerDown"}
            _compare(shown, shown.wait_for_sample(), alerts)
            assert shown.list_variables(OURS) == shown.list_variables(THEIRS)


def _compare(shown: Boards, at: float, firing: set[str]) -> None:
    """Check that both give the same values at a time, and that `firing` fire."""
    ours, theirs = shown.read(OURS, at), shown.read(THEIRS, at)
    wrong = {
        query: (ours[query], values)
        for query, values in theirs.items()
        if not is_same(ours[query], values)
    }
    assert wrong == {}
    for alert, found in shown.read_alerts(at).items():
        assert is_same(found.get(OURS, {}), found.get(THEIRS, {})), (alert, found)
        assert alert not in firing or found, alert
