"""Random canvases under real workers: what Herald shows is what Celery says."""

import asyncio
import os
import sys
from operator import not_

import pytest
from celery import Celery

from herald_core.store.redis.store import RedisStore
from tests.support.celery.project import environment
from tests.support.celery.reference_results import CelerySays, differing
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.environment import ROOT
from tests.support.herald.reconciling_monitor import Truth, truth
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

LONG = (pytest.mark.soak, pytest.mark.timeout(600))


async def send(app: Celery, seed: int, number: int) -> None:
    """Send `number` random canvases, from a process of its own."""
    words = ("-m", "tests.support.celery.random_canvases", str(seed), str(number))
    env = {**os.environ, **environment(app), "PYTHONPATH": str(ROOT)}
    sending = await asyncio.create_subprocess_exec(sys.executable, *words, env=env)
    assert await sending.wait() == 0


async def agrees(held: Truth, says: CelerySays, within: float = 60.0) -> int:
    """Wait until all is shown as Celery says; return how many tasks it knows."""
    results, runs = says.results(), says.runs()
    ids = list({*results, *runs})

    async def find_differences() -> list[str]:
        tasks = await held.store.get_tasks(ids)
        shown = {task.id: task for task in tasks if task is not None}
        return differing(results, runs, shown)

    await wait_until_async(find_differences, within, "as Celery says", accept=not_)
    return len(ids)


@pytest.mark.parametrize(
    ("pool", "broker", "seed", "number"),
    [
        pytest.param("prefork", "redis", 1, 60, id="prefork"),
        pytest.param("prefork", "redis", 2, 3_000, id="prefork-soak", marks=LONG),
        pytest.param("threads", "redis", 3, 3_000, id="threads-soak", marks=LONG),
        pytest.param(
            *("prefork", "amqp", 4, 3_000),
            id="prefork-amqp-soak",
            marks=(*LONG, pytest.mark.rabbitmq),
        ),
    ],
)
async def test_every_task_of_a_canvas_is_shown_as_celery_says(
    request: pytest.FixtureRequest,
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    pool: str,
    broker: str,
    seed: int,
    number: int,
) -> None:
    is_redis = broker == "redis"
    url = valkey.url if is_redis else str(request.getfixturevalue("amqp_url"))
    place = valkey.url.rpartition("/")[0]
    app = project_app(url, f"{place}/1")
    workers = [
        await asyncio.to_thread(celery_worker, app, pool=pool, concurrency=4)
        for _ in range(1 if number < 1_000 else 2)
    ]
    store = RedisStore(f"{place}/2")
    await store.open()
    says = CelerySays(app, [worker.hostname for worker in workers])
    async with truth(app, store, listen_backend=True, lost_after=60.0) as held:
        await send(app, seed, number)
        await says.quiet(within=30 + number / 10)
        assert await agrees(held, says) > 3 * number
        assert await store.list_gaps() == []
        assert held.monitor.make_view().counters["poison"] == 0
    says.close()
    await store.close()
