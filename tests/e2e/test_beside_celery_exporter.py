"""Herald's metrics of Celery beside those of celery-exporter, on one workload."""

import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from herald_core.system.subprocesses import spawn, terminate
from tests.support.celery.default_project import Stranger
from tests.support.clients.http import WITH_TOKEN
from tests.support.environment import ROOT
from tests.support.herald.process import HeraldProcess
from tests.support.servers.nginx import free_port
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.celery, pytest.mark.timeout(600)]

PACKAGE = "prometheus-exporter-celery"
"""celery-exporter's name in the package index."""

RUN = "from src.cli import cli; cli()"
MIXIN = json.loads((ROOT / "tests" / "e2e" / "celery_mixin.json").read_text())
TASKS = 30
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def exporter_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has celery-exporter, apart from ours."""
    place = tmp_path_factory.mktemp("exporter")
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    # Its own bound of redis-py is older than what today's kombu needs.
    for words in ([PACKAGE, "packaging"], ["--no-deps", "redis>=6.4,<8"]):
        subprocess.run([python, "-m", "pip", "install", "-q", *words], check=True)
    return python


@pytest.fixture
def shop(tmp_path: Path, valkey: PrivateValkey) -> Iterator[Stranger]:
    backend = valkey.url.rpartition("/")[0] + "/3"
    project = Stranger(tmp_path / "shop", valkey.url, backend, "prefork")
    cast(Any, project.app).conf.task_send_sent_event = True
    project.start_worker(2, "-E")
    yield project
    project.stop()


def read(url: str) -> Series:
    """Return the series of the published boards at `url`."""
    text = httpx2.get(url, headers=WITH_TOKEN, timeout=20).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in MIXIN["series"]
    }


def count(series: Series, name: str) -> float:
    return sum(value for (found, _), value in series.items() if found == name)


def find_differences(ours: Series, theirs: Series) -> Series:
    """Return their series that ours has not; runtimes are kept in microseconds."""
    near = pytest.approx
    return {k: v for k, v in theirs.items() if ours.get(k) != near(v, abs=1e-4)}


def test_every_series_of_the_boards_has_the_same_value(
    exporter_python: Path, shop: Stranger, valkey: PrivateValkey, tmp_path: Path
) -> None:
    port = free_port()
    words = [str(exporter_python), "-c", RUN, "--broker-url", valkey.url]
    exporter = spawn([*words, "--port", str(port)], tmp_path / "exporter.log")
    herald = HeraldProcess(tmp_path / "up.log", "up", "--broker", valkey.url)
    herald.start()
    theirs_url = f"http://127.0.0.1:{port}/metrics"
    try:
        wait_until(lambda: _answers(theirs_url), 30, "celery-exporter answers")
        app = cast(Any, shop.app)
        # Both count from here on: events before it was there are lost for it.
        wait_until(lambda: count(read(theirs_url), "celery_worker_up") > 0, 30)
        for _ in range(TASKS):
            app.send_task("shop.pay", [21])
            app.send_task("shop.refuse", ["no"])
            app.send_task("shop.ship", [2])

        def is_done() -> bool:
            ended = read(theirs_url)
            succeeded = count(ended, "celery_task_succeeded_total")
            differences = find_differences(_read_ours(), ended)
            return succeeded == 2 * TASKS and not differences

        def _read_ours() -> Series:
            return read(f"{herald.url}metrics")

        try:
            wait_until(is_done, 60)
        finally:
            ours, theirs = _read_ours(), read(theirs_url)
            for key, value in find_differences(ours, theirs).items():
                sys.stderr.write(f"{key}: {value}, ours {ours.get(key)}\n")
    finally:
        terminate(exporter, 5.0)
        herald.stop()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=20).status_code == 200
    except httpx2.HTTPError:
        return False
