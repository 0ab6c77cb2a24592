"""Who consumes a queue, while heartbeats and answers say different things."""

import asyncio
from typing import Any, cast

import pytest
from tests.conftest import AppFactory, WorkerFactory
from tests.servers import PrivateValkey

from herald_monitor.inspection import Inspection
from herald_monitor.model.workers import SILENT, WorkerImage
from herald_monitor.worker_answers import Consumers

pytestmark = [pytest.mark.anyio, pytest.mark.celery]


async def test_a_silent_worker_that_answers_consumes(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    """One that was blocked is asked as it goes on, before its heartbeat is heard."""
    app = project_app(valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, pool="solo")
    name, inspection = worker.hostname, Inspection(app)
    consumers = Consumers(inspection)
    image = WorkerImage(id=name, hostname=name, state=SILENT, slots=1)
    try:
        assert await consumers.look([image]) == {name}
    finally:
        inspection.close()
    queue = str(cast(Any, app).conf.task_default_queue)
    assert consumers.of(queue) == (name,)
    assert (consumers.answered, consumers.silent(queue)) == (1, ())
