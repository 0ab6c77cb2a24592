"""What the backend channel does when the backend, or the way to it, breaks."""

import logging
import time
from collections.abc import Callable

import pytest

from herald_monitor.celery_client.backend.result_backend import (
    BackendUnreachable,
    ResultBackend,
)
from tests.support.celery.messages import store_result
from tests.support.celery.worker import AppFactory
from tests.support.herald.memory_monitor import prompt, told
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]
ProxyFactory = Callable[[str], Proxy]


async def test_a_backend_killed_and_restarted_is_a_gap_and_then_results_again(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    async with told(app) as heard:
        store_result(app, 1)
        await wait_until_async(lambda: heard.events, 30, "a result")
        valkey.kill()
        await wait_until_async(lambda: not heard.channel.connected, 30, "cut")
        killed = time.time()
        valkey.start()
        await wait_until_async(lambda: heard.gaps, 30, "lost_touch")
        task_id = store_result(app, 2)
        await wait_until_async(lambda: heard.kinds(task_id), 30, "results again")
    [(since, until_, reason)] = heard.gaps
    assert since <= killed <= until_
    assert reason
    assert heard.channel.reconnects == 1


async def test_a_half_open_connection_is_found(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    app = project_app(valkey.url, valkey.url)
    heard_by = project_app(valkey.url, way.url)
    async with told(heard_by, probe_every=0.2) as heard:
        way.black_hole()
        await wait_until_async(
            lambda: not heard.channel.connected, 30, "silence is noticed"
        )
        way.cut()
        way.heal()
        await wait_until_async(lambda: heard.gaps, 30, "lost_touch")
        task_id = store_result(app, 1)
        await wait_until_async(lambda: heard.kinds(task_id), 30, "results again")
    assert "no answer" in heard.gaps[0][2]


async def test_a_quiet_connection_is_kept(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    async with told(app, probe_every=0.05) as heard:
        quiet_until = time.monotonic() + 0.5
        await wait_until_async(lambda: time.monotonic() > quiet_until)
        assert heard.channel.connected
        assert heard.gaps == []


async def test_a_cut_connection_is_mended_soon(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    async with told(project_app(valkey.url, way.url)) as heard:
        way.cut()
        await wait_until_async(lambda: heard.gaps, 30, "lost_touch")
        since, until_, _ = heard.gaps[0]
    assert 0 <= until_ - since < 10


async def test_what_was_heard_before_a_cut_is_delivered_after_it(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    app = project_app(valkey.url, valkey.url)
    async with told(project_app(valkey.url, way.url)) as heard:
        task_id = store_result(app, 1)
        # Heard, and held: whose it is could not be asked yet.
        await wait_until_async(lambda: heard.channel.messages, 30, "a publication")
        way.cut()
        await wait_until_async(lambda: heard.kinds(task_id), 30, "the result")
        assert heard.kinds(task_id) == ["succeeded"]


async def test_a_backend_that_is_away_is_said_once_and_waited_for(
    valkey: PrivateValkey,
    project_app: AppFactory,
    proxy: ProxyFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    way = proxy(valkey.url)
    async with told(project_app(valkey.url, way.url)) as heard:
        way.refuse()
        await wait_until_async(lambda: not heard.channel.connected, 30, "cut")
        quiet_until = time.monotonic() + 1.5
        await wait_until_async(lambda: time.monotonic() > quiet_until)
        way.heal()
        await wait_until_async(lambda: heard.channel.connected, 30, "connected again")
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    # Cut, then refused: two reasons.
    assert len(warnings) <= 2


async def test_a_channel_that_cannot_connect_stops_at_once(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    async with told(project_app(valkey.url, way.url)) as heard:
        way.black_hole()
        await prompt(heard.channel.stop())


async def test_asking_a_backend_that_does_not_answer_ends_in_time(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    app = project_app(valkey.url, way.url)
    task_id = store_result(app, 1)
    backend = ResultBackend(app)
    assert len(await backend.read_events([task_id])) == 1
    way.black_hole()
    began = time.monotonic()
    with pytest.raises(BackendUnreachable, match="does not answer"):
        await backend.read_events([task_id], within=0.3)
    assert time.monotonic() - began < 10
    way.cut()
    way.heal()
    assert len(await backend.read_events([task_id])) == 1
    await prompt(backend.close())
