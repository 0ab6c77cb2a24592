"""Why a task does not get on where somebody or something cannot be asked."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from herald_server.control.control import Control
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.monitored_server import ALL, in_state, online
from tests.support.herald.reconciling_monitor import submit
from tests.support.herald.stuck_task_environment import SLOW, explained, scene_of
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


async def test_a_queue_of_which_not_everybody_told(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    other = await asyncio.to_thread(
        celery_worker, app, pool="solo", extra=(*SLOW, "-Q", "other")
    )
    async with scene_of(app, tmp_path, extra=SLOW) as scene:
        await online(scene.made, other.hostname)
        stray = submit(app, "add", 1, 2, queue="stray")
        await in_state(scene.made, stray, "PENDING")
        os.kill(other.pid, signal.SIGSTOP)
        try:
            told = await scene.becomes(stray, "no_known_worker_on_queue")
            assert "None of the 1 that answered consumes" in told.message
        finally:
            os.kill(other.pid, signal.SIGCONT)
        told = await scene.becomes(stray, "no_worker_on_queue")
        assert "other" in told.message
        app.control.add_consumer("stray", destination=[other.hostname])
        await scene.is_over(stray)


async def test_a_broker_that_does_not_answer(
    valkey: PrivateValkey,
    project_app: AppFactory,
    proxy: Callable[[str], Proxy],
    tmp_path: Path,
) -> None:
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    between = proxy(valkey.url)
    ours: Any = project_app(between.url, names=app.conf.herald_names)
    async with scene_of(app, tmp_path, ours=ours) as scene:
        stray = submit(app, "add", 1, 2, queue="stray")
        await in_state(scene.made, stray, "PENDING")
        runs = await scene.busy()
        await scene.becomes(stray, "no_worker_on_queue")
        between.refuse()
        told = await scene.becomes(stray, "not_asked")
        assert "herald doctor" in told.advice
        # The worker beats on, but Herald does not hear it.
        told = await scene.becomes(runs, "worker_silent")
        assert "Herald cannot ask any worker" in told.message
        await scene.becomes(stray, "not_asked")
        between.heal()
        await scene.becomes(stray, "no_worker_on_queue")
        await scene.becomes(runs, "runs")


async def test_queues_that_are_laid_out_otherwise(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    layout = {"broker_transport_options": {"sep": "|"}}
    app: Any = project_app(valkey.url, herald_shared=layout)
    names = app.conf.herald_names
    ours: Any = project_app(valkey.url, names=names)
    async with scene_of(app, tmp_path, ours=ours) as scene:
        stray = submit(app, "add", 1, 2, queue="stray")
        await in_state(scene.made, stray, "PENDING")
        told = await scene.becomes(stray, "queues_unseen")
        assert "--transport-option sep='|'" in told.message
        right: Any = project_app(valkey.url, names=names, **layout)
        made = scene.made
        control = Control(right, made.store, made.hub, ALL)
        await wait_until_async(
            lambda: explained(made.store, control, stray),
            message="the queues are found",
            accept=lambda told: told.reason == "no_worker_on_queue",
        )
