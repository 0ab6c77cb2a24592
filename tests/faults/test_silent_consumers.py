"""Who consumes a queue, while heartbeats and answers say different things."""

import asyncio
from typing import Any, cast

import pytest

from herald_core.model.workers.worker import SILENT, WorkerView
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.celery_client.workers.worker_answers import ConsumerCache
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.servers.redis import PrivateValkey

pytestmark = [pytest.mark.anyio, pytest.mark.celery]


async def test_a_silent_worker_that_answers_consumes(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    """One that was blocked is asked as it goes on, before its heartbeat is heard."""
    app = project_app(valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, pool="solo")
    name, inspection = worker.hostname, WorkerInspector(app)
    consumers = ConsumerCache(inspection)
    image = WorkerView(id=name, hostname=name, state=SILENT, slots=1)
    try:
        assert await consumers.refresh([image]) == {name}
    finally:
        inspection.close()
    queue = str(cast(Any, app).conf.task_default_queue)
    assert consumers.find_consumers(queue) == (name,)
    assert (consumers.answered, consumers.find_silent_consumers(queue)) == (1, ())
