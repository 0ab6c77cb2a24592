"""What the backend channel does when the backend, or the way to it, breaks."""

import logging
import time
from collections.abc import Callable

import pytest
from tests.conftest import AppFactory
from tests.e2e.test_backend import store_result
from tests.listening import prompt, told, until
from tests.proxy import Proxy
from tests.servers import PrivateValkey

from herald_monitor.backends import BackendUnreachable, ResultBackend

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
        await until(lambda: heard.events, 5, "a result")
        valkey.kill()
        await until(lambda: not heard.channel.connected, 5, "cut")
        killed = time.time()
        valkey.start()
        await until(lambda: heard.gaps, 5, "lost_touch")
        task_id = store_result(app, 2)
        await until(lambda: heard.kinds(task_id), 5, "results again")
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
        await until(lambda: not heard.channel.connected, 2, "silence is noticed")
        way.cut()
        way.heal()
        await until(lambda: heard.gaps, 5, "lost_touch")
        task_id = store_result(app, 1)
        await until(lambda: heard.kinds(task_id), 5, "results again")
    assert "no answer" in heard.gaps[0][2]


async def test_a_quiet_connection_is_kept(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    async with told(app, probe_every=0.05) as heard:
        quiet_until = time.monotonic() + 0.5
        await until(lambda: time.monotonic() > quiet_until)
        assert heard.channel.connected
        assert heard.gaps == []


async def test_a_cut_connection_is_mended_within_a_second(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    async with told(project_app(valkey.url, way.url)) as heard:
        way.cut()
        await until(lambda: heard.gaps, 5, "lost_touch")
        since, until_, _ = heard.gaps[0]
    assert 0 <= until_ - since < 1


async def test_what_was_heard_before_a_cut_is_delivered_after_it(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    app = project_app(valkey.url, valkey.url)
    async with told(project_app(valkey.url, way.url)) as heard:
        task_id = store_result(app, 1)
        # Heard, and held: whose it is could not be asked yet.
        await until(lambda: heard.channel.messages, 5, "a publication")
        way.cut()
        await until(lambda: heard.kinds(task_id), 5, "the result")
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
        await until(lambda: not heard.channel.connected, 5, "cut")
        quiet_until = time.monotonic() + 1.5
        await until(lambda: time.monotonic() > quiet_until)
        way.heal()
        await until(lambda: heard.channel.connected, 5, "connected again")
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
    assert len(await backend.read([task_id])) == 1
    way.black_hole()
    began = time.monotonic()
    with pytest.raises(BackendUnreachable, match="does not answer"):
        await backend.read([task_id], within=0.3)
    assert time.monotonic() - began < 1.0
    way.cut()
    way.heal()
    assert len(await backend.read([task_id])) == 1
    await prompt(backend.close())
