"""Herald's metrics of Celery beside those of celery-exporter, on one workload.

celery-exporter has `celery_task_queue_wait_time` since July 2026, and the package index
has no release with it (0.11.2 is the newest there): it is compared if
`HERALD_TEST_CELERY_EXPORTER` names a newer source.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.celery.default_project import Stranger
from tests.support.clients.http import WITH_TOKEN
from tests.support.herald.process import HeraldProcess
from tests.support.metrics.celery_exporter import (
    REQUIREMENT,
    celery_exporter,
    install_exporter,
)
from tests.support.metrics.celery_mixin import SERIES
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.celery, pytest.mark.timeout(600)]

WAIT = "celery_task_queue_wait_time"
COMPARED = {*SERIES, *(f"{WAIT}_{part}" for part in ("bucket", "count", "sum"))}
TASKS = 30
PACK_S = 0.12
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def shop(tmp_path: Path, valkey: PrivateValkey) -> Iterator[Stranger]:
    backend = valkey.url.rpartition("/")[0] + "/3"
    project = Stranger(tmp_path / "shop", valkey.url, backend, "prefork")
    cast(Any, project.app).conf.task_send_sent_event = True
    project.start_worker(2, "-E")
    yield project
    project.stop()


@pytest.fixture
def herald(tmp_path: Path, valkey: PrivateValkey) -> Iterator[str]:
    """The address of a Herald that listens to the shop's broker."""
    process = HeraldProcess(tmp_path / "up.log", "up", "--broker", valkey.url)
    process.start()
    yield urlsplit(process.url).netloc
    process.stop()


def read(address: str) -> Series:
    """Return the series at `address` that are compared."""
    url = f"http://{address}/metrics"
    text = httpx2.get(url, headers=WITH_TOKEN, timeout=20, trust_env=False).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in COMPARED
    }


def count(series: Series, name: str) -> float:
    return sum(value for (found, _), value in series.items() if found == name)


def find_differences(
    ours: Series, theirs: Series
) -> dict[object, tuple[float | None, float]]:
    """Return what they have and we have not; runtimes are kept in microseconds."""
    near = pytest.approx
    return {
        key: (ours.get(key), value)
        for key, value in theirs.items()
        if ours.get(key) != near(value, abs=1e-4)
    }


def test_every_series_has_the_same_value(
    herald: str, shop: Stranger, valkey: PrivateValkey, tmp_path: Path
) -> None:
    python = install_exporter(tmp_path / "exporter")
    with celery_exporter(python, valkey.url, tmp_path / "exporter.log") as exporter:
        # Both count from here on: events before it was there are lost for it.
        wait_until(lambda: count(read(exporter), "celery_worker_up") > 0, 30)
        _send_all(cast(Any, shop.app))
        wait_until(
            lambda: count(read(exporter), "celery_task_succeeded_total"),
            60,
            accept=lambda succeeded: succeeded == 4 * TASKS,
        )
        wait_until(
            lambda: find_differences(read(herald), read(exporter)),
            20,
            "the same",
            accept=lambda found: not found,
        )
        waited = count(read(exporter), f"{WAIT}_count")
    assert waited or REQUIREMENT == "prometheus-exporter-celery"


def _send_all(app: Any) -> None:
    for _ in range(TASKS):
        app.send_task("shop.pay", [21])
        app.send_task("shop.pay", [21], countdown=0.5)
        app.send_task("shop.refuse", ["no"])
        app.send_task("shop.ship", [2])
        # Together they take longer than two processes have: some wait.
        app.send_task("shop.pack", [PACK_S])
