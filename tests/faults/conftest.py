"""Real work for fault tests whose faults leave broker and worker alone."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from celery import Celery

from tests.support.celery.project import make_app
from tests.support.celery.worker import Worker
from tests.support.servers.redis import PrivateValkey


@pytest.fixture(scope="module")
def module_app(
    module_valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Celery]:
    """An app and its worker for all tests of a module, with results beside."""
    made = make_app(module_valkey.url, f"{module_valkey.url.rpartition('/')[0]}/1")
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    worker = Worker(made, log, pool="threads", concurrency=4)
    worker.start()
    yield made
    worker.close()
    cast(Any, made).close()
