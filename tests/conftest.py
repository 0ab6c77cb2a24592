"""Fixtures for all tests: real servers, real workers, nothing left behind."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery
from hypothesis import HealthCheck, settings

from tests.support.celery.outbox_stream import OutboxReader
from tests.support.celery.project import make_app
from tests.support.celery.worker import AppFactory, Worker, WorkerFactory
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.rabbitmq import rabbitmq
from tests.support.servers.redis import PrivateValkey, private_valkey, redis7

# How fast examples are made says how busy the machine is, and nothing of the code.
settings.register_profile(
    "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")

# A shell ignores Ctrl-C on behalf of what it runs behind itself, and all that is
# started from there; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of asynchronous tests."""
    return "asyncio"


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    """A Valkey for one test."""
    with private_valkey() as server:
        yield server


@pytest.fixture
def stream(valkey: PrivateValkey) -> Iterator[OutboxReader]:
    """What workers and producers write to the outbox in the test's Valkey."""
    reader = OutboxReader(valkey.url)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def module_valkey() -> Iterator[PrivateValkey]:
    """A Valkey for all tests of a module."""
    with private_valkey() as server:
        yield server


@pytest.fixture
def redis7_url() -> Iterator[str]:
    """The empty test database of the shared Redis, for one test at a time."""
    with redis7() as url:
        yield url


@pytest.fixture(params=["valkey", pytest.param("redis7", marks=pytest.mark.redis7)])
def redis_url(request: pytest.FixtureRequest) -> str:
    """An empty store on each kind of server."""
    if request.param == "redis7":
        return str(request.getfixturevalue("redis7_url"))
    server = cast(PrivateValkey, request.getfixturevalue("valkey"))
    return server.url


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """RabbitMQ; names on it must be unique to a test, as `project_app`'s are."""
    with rabbitmq() as url:
        yield url


@pytest.fixture(params=["redis", pytest.param("amqp", marks=pytest.mark.rabbitmq)])
def broker_url(request: pytest.FixtureRequest) -> str:
    """A broker of each kind."""
    if request.param == "amqp":
        return str(request.getfixturevalue("amqp_url"))
    server = cast(PrivateValkey, request.getfixturevalue("valkey"))
    return server.url


@pytest.fixture
def project_app() -> Iterator[AppFactory]:
    """Make apps of the test project: `project_app(broker, backend, **conf)`."""
    made: list[Celery] = []

    def make(broker: str, backend: str | None = None, **conf: object) -> Celery:
        made.append(make_app(broker, backend, **cast(Any, conf)))
        return made[-1]

    yield make
    for app in made:
        cast(Any, app).close()


@pytest.fixture
def celery_worker(tmp_path: Path) -> Iterator[WorkerFactory]:
    """Start workers: `celery_worker(app, pool=…, concurrency=…, events=…)`."""
    started: list[Worker] = []

    def start(app: Celery, **options: Any) -> Worker:
        worker = Worker(app, tmp_path / f"worker-{len(started)}.log", **options)
        started.append(worker)
        worker.start()
        return worker

    yield start
    for worker in started:
        worker.close()


@pytest.fixture
def proxy() -> Iterator[Callable[[str], Proxy]]:
    """Put fault proxies before servers: `proxy(url)`."""
    started: list[Proxy] = []

    def start(url: str) -> Proxy:
        started.append(Proxy(url))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()
