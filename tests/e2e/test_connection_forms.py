"""Brokers and result backends as they are named in production, each with a worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from celery import Celery

from herald_core.settings import MonitorSettings
from herald_monitor.celery_client.app.celery_app import (
    AppLoadError,
    check_backend,
    make_app,
    restrict,
)
from herald_monitor.celery_client.backend.listener import ResultListener
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_monitor.ingest.receiver import Receiver
from herald_server.cli.doctor.collect import collect
from herald_server.cli.doctor.rules import find_problems
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.reconciling_monitor import submit
from tests.support.servers.redis import PrivateValkey
from tests.support.servers.redis_connections import (
    redis_by_socket,
    redis_by_tls,
    sentinel_of,
)
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.celery, pytest.mark.timeout(240)]


def ignore(*_: object) -> None:
    """Take note of nothing."""


async def works(mine: Celery, worker: str) -> None:
    """Hear events and results, ask worker, queues and backend, and find no fault."""
    heard: list[Any] = []
    receiver = Receiver(
        mine,
        deliver=lambda batch, _heard, _ticket: heard.extend(batch),
        lost_touch=ignore,
        poison=ignore,
    )
    thread = threading.Thread(target=receiver.run)
    thread.start()
    results: list[Any] = []
    channel = ResultListener(
        mine, deliver=results.extend, lost_touch=ignore, poison=ignore
    )
    channel.start()
    backend = ResultBackend(mine)
    try:
        await wait_until_async(
            lambda: receiver.connected and channel.connected, 30, "it hears"
        )
        task_id = await asyncio.to_thread(submit, mine, "add", 1, 2)
        await wait_until_async(
            lambda: heard and results, 30, "events and results are heard"
        )
        [found] = await backend.read_events([task_id])
        assert found.kind == "succeeded"
        facts = await collect(MonitorSettings(), mine, store=False)
        assert [one.hostname for one in facts.workers] == [worker]
        wrong = [one for one in find_problems(facts) if one.level == "error"]
        assert wrong == []
    finally:
        receiver.stop()
        await channel.stop()
        await backend.close()
        await asyncio.to_thread(thread.join, 10)


async def tried(
    app: Celery, celery_worker: WorkerFactory, mine: Celery | None = None
) -> None:
    """Start a worker as `app` says, and let Herald work as it, or `mine`, says."""
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    await works(restrict(mine or app), worker.hostname)


async def test_a_unix_socket(
    project_app: AppFactory, celery_worker: WorkerFactory, tmp_path: Path
) -> None:
    with redis_by_socket(tmp_path) as path:
        where = f"redis+socket://{path}"
        app = project_app(where, f"{where}?virtual_host=1")
        make_app(where, f"{where}?virtual_host=1")
        await tried(app, celery_worker)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A Redis by TLS that wants certificates of its clients."""
    with redis_by_tls(tmp_path_factory.mktemp("tls"), of_clients=True) as found:
        yield found


async def test_certificates_of_the_client(
    project_app: AppFactory, celery_worker: WorkerFactory, secured: tuple[int, Path]
) -> None:
    """By the URL, and by the settings of the project."""
    port, authority = secured
    files = {
        "ssl_ca_certs": str(authority),
        "ssl_certfile": str(authority.with_name("cert.pem")),
        "ssl_keyfile": str(authority.with_name("key.pem")),
    }
    query = "&".join(f"{key}={value}" for key, value in files.items())
    url = f"rediss://127.0.0.1:{port}/%d?ssl_cert_reqs=required&{query}"
    app = project_app(url % 0, url % 1)
    tls = {"ssl_cert_reqs": "required", **files}
    plain = f"rediss://127.0.0.1:{port}/"
    by_settings = project_app(
        f"{plain}0",
        f"{plain}1?ssl_cert_reqs=required",
        names=cast(Any, app).conf.herald_names,
        broker_use_ssl=tls,
        redis_backend_use_ssl=tls,
    )
    await tried(app, celery_worker)
    hostname = (await asyncio.to_thread(cast(Any, app).control.ping, timeout=2))[0]
    await works(restrict(by_settings), next(iter(hostname)))


@pytest.mark.parametrize("as_list", [False, True])
async def test_several_brokers_of_which_the_first_is_away(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    as_list: bool,
) -> None:
    app = project_app(valkey.url, f"{valkey.url[:-1]}1")
    both = ["redis://127.0.0.1:1/0", valkey.url]
    url: Any = both if as_list else ";".join(both)
    names = cast(Any, app).conf.herald_names
    mine = project_app(url, f"{valkey.url[:-1]}1", names=names)
    if not as_list:
        make_app(url)
    await tried(app, celery_worker, mine)


async def test_characters_that_mean_something_in_a_url(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    user, password = "o'neil@corp", "p@ss:/w%rd#?&=+"
    with valkey.client() as plain:
        words = ("ACL", "SETUSER", user, "on", f">{password}", "~*", "&*", "+@all")
        cast(Any, plain).execute_command(*words)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    url = valkey.url.replace("//", f"//{login}")
    app = project_app(url, f"{url[:-1]}1")
    await tried(app, celery_worker)
    facts = await collect(MonitorSettings(), app, store=False)
    assert facts.backend
    assert quote(password, safe="") not in facts.broker.url + facts.backend.url


async def test_sentinels(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    """A worker that knows the primary, and Herald that asks the sentinel."""
    named = {"master_name": "mymaster"}
    app = project_app(valkey.url, f"{valkey.url[:-1]}1")
    with sentinel_of(valkey, tmp_path) as port:
        url = f"sentinel://127.0.0.1:1;sentinel://127.0.0.1:{port}"
        mine = project_app(
            f"{url}/0",
            f"sentinel://127.0.0.1:{port}/1",
            names=cast(Any, app).conf.herald_names,
            broker_transport_options=named,
            result_backend_transport_options=named,
        )
        await tried(app, celery_worker, mine)


async def test_a_sentinel_without_a_name_is_told(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    with sentinel_of(valkey, tmp_path) as port:
        app = make_app(f"sentinel://127.0.0.1:{port}/0")
        facts = await collect(MonitorSettings(), app, store=False)
    assert "names no primary" in facts.broker.problem
    assert "master_name" in facts.broker.fix


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("unix:///tmp/redis.sock", "redis\\+socket://"),
        ("redis+unix:///tmp/redis.sock", "redis\\+socket://"),
        ("redis+sentinel://h/x", "sentinel://"),
        ("redis://h;ftp://h", "ftp://"),
    ],
)
def test_forms_that_celery_cannot_use_are_refused_with_the_right_one(
    url: str, says: str
) -> None:
    with pytest.raises(AppLoadError, match=says):
        make_app(url)
    if ";" not in url:
        with pytest.raises(AppLoadError, match=says):
            check_backend(url)
