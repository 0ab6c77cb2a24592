"""Celery's own integration tests as work to watch: its canvases, its oddities.

They come with Celery's source distribution, which pip brings; nothing of them is
kept here. Whether they pass is not our matter: what they leave behind is.
"""

import asyncio
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from operator import not_
from pathlib import Path
from typing import cast

import celery
import pytest
import redis
from celery import Celery

from herald_core.store.redis.store import RedisStore
from tests.support.celery.reference_results import PREFIX, Meta, differing
from tests.support.environment import missing
from tests.support.herald.reconciling_monitor import Truth, truth
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    pytest.mark.soak,
    pytest.mark.timeout(1_500),
]

INI = """[pytest]
python_classes = test_*
markers =
    flaky: some of them are
    masked_modules: left alone
"""
CONF = {"worker_send_task_events": True, "task_send_sent_event": True}
LEFT_OUT = "large or duplicated_on_rabbitmq or leak or allow_error_cb"
"""Tests of a thousand tasks, of RabbitMQ, of Celery's memory; and slow ones."""


@pytest.fixture(scope="module")
def celerys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Celery's tests."""
    place = tmp_path_factory.mktemp("celerys")
    words = ("download", "-q", "--no-deps", "--no-binary", "celery", "-d", str(place))
    version = f"celery=={celery.__version__}"
    done = subprocess.run([sys.executable, "-m", "pip", *words, version], check=False)
    packed = next(iter(place.glob("celery-*.tar.gz")), None)
    if done.returncode or packed is None:
        missing("Celery's source distribution by pip")
    assert packed is not None
    with tarfile.open(packed) as tar:
        tar.extractall(place, filter="data")
    root = next(place.glob("celery-*/t")).parent
    (root / "herald.ini").write_text(INI)
    (root / "integration-tests-config.json").write_text(json.dumps(CONF))
    return root


@pytest.fixture
def backend(valkey: PrivateValkey) -> Iterator["redis.Redis"]:
    """The server on which Celery's tests work."""
    with valkey.client() as client:
        yield client


def kept(backend: "redis.Redis") -> dict[str, Meta]:
    """Return what the result backend keeps of tasks."""
    keys = cast("list[bytes]", backend.keys(f"{PREFIX}*"))
    found = cast("list[bytes | None]", backend.mget(keys)) if keys else []
    return {
        key.decode().removeprefix(PREFIX): json.loads(meta)
        for key, meta in zip(keys, found, strict=True)
        if meta is not None
    }


async def agrees(held: Truth, results: dict[str, Meta]) -> None:
    """Wait until all tasks are shown as the backend keeps them."""

    async def find_differences() -> list[str]:
        tasks = await held.store.get_tasks(list(results))
        shown = {task.id: task for task in tasks if task is not None}
        return differing(results, {}, shown)

    await wait_until_async(find_differences, 30, "all is as Celery says", accept=not_)


async def test_what_celerys_own_tests_leave_behind_is_shown_as_celery_keeps_it(
    celerys: Path, valkey: PrivateValkey, backend: "redis.Redis", tmp_path: Path
) -> None:
    server, _, _ = valkey.url.rpartition("/")
    app = Celery("t", broker=valkey.url, backend=valkey.url, set_as_current=False)
    env = {
        **os.environ,
        "PYTHONPATH": str(celerys),
        "TEST_BROKER": valkey.url,
        "TEST_BACKEND": valkey.url,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(valkey.port),
    }
    words = ("-m", "pytest", "-q", "-c", "herald.ini", f"--rootdir={celerys}")
    plugins = ("-p", "celery.contrib.pytest", "-p", "no:cacheprovider")
    chosen = ("t/integration/test_canvas.py", "-k", f"not ({LEFT_OUT})")
    store = RedisStore(f"{server}/2")
    await store.open()
    async with truth(app, store, listen_backend=True, lost_after=60.0) as held:
        with (tmp_path / "celerys.log").open("w") as log:
            running = await asyncio.create_subprocess_exec(
                *(sys.executable, *words, *plugins, *chosen),
                cwd=celerys,
                env=env,
                stdout=log,
                stderr=log,
            )
            await running.wait()
        results = await asyncio.to_thread(kept, backend)
        assert len(results) > 1_000, (tmp_path / "celerys.log").read_text()[-2_000:]
        await agrees(held, results)
    await store.close()
