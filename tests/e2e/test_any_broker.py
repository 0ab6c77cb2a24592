"""With the outbox Herald works at brokers that carry neither events nor control."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.error import HTTPError

import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from herald_core.settings import MonitorSettings
from herald_monitor.celery_client.app.celery_app import make_app as make_celery_app
from herald_server.cli.doctor.collect import collect
from herald_server.cli.doctor.rules import find_problems, is_healthy
from tests.support.celery.outbox_stream import AUTO
from tests.support.celery.project import make_app
from tests.support.celery.worker import UnaskedWorker
from tests.support.clients.websocket import Listener, connected
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.servers.sqs import LOGIN, TRANSPORT, private_sqs
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.timeout(300),
    # Of SQLAlchemy 2.1, about kombu.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]

ENDS = {
    "add": ("SUCCESS", 1),
    "fail": ("FAILURE", 1),
    "retry_twice": ("SUCCESS", 3),
    "ignore_result": ("SUCCESS", 1),
    "progress": ("SUCCESS", 1),
}
"""The names of tasks, and how each ends: state and attempt."""


class Installation(NamedTuple):
    """A project with a worker, and `herald up` beside it."""

    app: Celery
    herald: HeraldProcess
    outbox: str

    def send(self, name: str, *args: object, **options: Any) -> str:
        """Send a task as a program of the project does; return its id."""
        return str(cast(Any, self.app).send_task(name, args, **options).id)


@pytest.fixture(scope="module", params=["sqs", "sqlite"])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The URL of such a broker, and options of its transport."""
    if request.param == "sqlite":
        place = tmp_path_factory.mktemp("sqlite")
        yield f"sqla+sqlite:///{place}/broker.db?timeout=30", {}
        return
    with private_sqs() as sqs, pytest.MonkeyPatch.context() as environment:
        for name, value in LOGIN.items():
            environment.setenv(name, value)
        yield sqs.url, TRANSPORT


@pytest.fixture(scope="module")
def installation(
    broker: tuple[str, Mapping[str, object]],
    module_valkey: PrivateValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    (url, transport), tmp_path = broker, tmp_path_factory.mktemp("installation")
    base = module_valkey.url.rpartition("/")[0]
    outbox, backend = f"{base}/0", f"{base}/1"
    shared = {"broker_transport_options": transport, "task_send_sent_event": False}
    app = make_app(url, backend, herald_shared=shared)
    options = [f"--transport-option={name}={one}" for name, one in transport.items()]
    catalog = tmp_path / "herald.toml"
    catalog.write_text('allow = ["add", "sleepy"]')
    queue = str(app.conf.task_default_queue)
    herald = HeraldProcess(
        tmp_path / "up.log",
        *("up", "--broker", url, "--backend", backend, *options),
        *("--celery-setting", f"task_default_queue={queue}"),
        *("--catalog", str(catalog)),
        HERALD_OUTBOX_URL=outbox,
    )
    worker = UnaskedWorker(app, tmp_path / "worker.log", outbox, extra=AUTO)
    try:
        herald.start()
        worker.start()
        yield Installation(app, herald, outbox)
    finally:
        worker.close()
        herald.stop()
        cast(Any, app).close()


@pytest.fixture
async def watcher(installation: Installation) -> AsyncGenerator[Listener]:
    """A client that is told of each change."""
    url = f"ws{installation.herald.url.removeprefix('http')}ws"
    async with connected(url, TOKEN) as client:
        await client.say(type="subscribe", id="each", mode="events")
        await client.heard("data")
        yield client


def images(client: Listener, task_id: str) -> list[dict[str, Any]]:
    """Return what a client was told of a task, in its order."""
    frames = client.of("data")
    return [one for f in frames for one in f.get("put", ()) if one["id"] == task_id]


def _answer(herald: HeraldProcess, path: str) -> tuple[int, dict[str, Any]]:
    try:
        return 200, cast(dict[str, Any], herald.post(path, {}))
    except HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("number", [60, pytest.param(500, marks=pytest.mark.soak)])
async def test_every_task_is_right_and_each_change_is_pushed(
    installation: Installation, watcher: Listener, number: int
) -> None:
    names = [list(ENDS)[n % len(ENDS)] for n in range(number)]
    given = {"add": (1, 2), "ignore_result": (1, 2), "fail": ("no",)}
    sent = {installation.send(name, *given.get(name, ())): name for name in names}

    def are_over() -> bool:
        told = [images(watcher, id_) for id_ in sent]
        return all(one and one[-1].get("final") for one in told)

    await wait_until_async(are_over, 240, "every end is pushed")
    shown = await asyncio.to_thread(installation.herald.tasks)
    for id_, name in sent.items():
        task = shown[id_]
        assert (task["state"], task["attempt"]) == ENDS[name], task
        assert (task["name"], task["source"]) == (name, "event"), task
        assert task["queue"] == installation.app.conf.task_default_queue
        assert task["started_at"] <= task["finished_at"]
        told = images(watcher, id_)
        attempts = [one["attempt"] for one in told if "attempt" in one]
        assert attempts == sorted(attempts), told
        assert told[-1]["state"] == ENDS[name][0]
    stepped = [id_ for id_, name in sent.items() if name == "progress"]
    live = [
        one for id_ in stepped for one in images(watcher, id_) if not one.get("final")
    ]
    assert {one["progress"]["percent"] for one in live if "progress" in one}
    health = await asyncio.to_thread(installation.herald.get, "api/v1/health")
    assert not health["gaps"], health


async def test_what_the_broker_cannot_do_is_said_with_its_status(
    installation: Installation, tmp_path: Path
) -> None:
    herald = installation.herald
    go = tmp_path / "go"
    held = installation.send("hold", str(go))

    def is_started() -> bool:
        return held in herald.tasks(state="STARTED")

    await wait_until_async(lambda: asyncio.to_thread(is_started), 60)
    status, said = await asyncio.to_thread(
        _answer, herald, f"api/v1/tasks/{held}/cancel"
    )
    assert (status, said["title"]) == (501, "Not Implemented")
    assert "carries no remote control to workers" in said["detail"]
    assert said["detail"].endswith("need RabbitMQ or Redis as the broker")
    go.touch()
    why = await asyncio.to_thread(herald.get, f"api/v1/tasks/{held}/why")
    assert why["reason"], why
    workers = (await asyncio.to_thread(herald.get, "api/v1/workers"))["workers"]
    assert [one["state"] for one in workers] == ["online"]
    assert [one["outbox"] for one in workers] == [True]
    queues = await asyncio.to_thread(herald.get, "api/v1/queues")
    assert isinstance(queues["queues"], list)
    health = await asyncio.to_thread(herald.get, "api/v1/health")
    assert [one.get("trouble", "") for one in health["monitors"]] == [""]


async def test_the_doctor_has_nothing_to_mend(installation: Installation) -> None:
    # Made anew from the URLs, as the command does.
    conf = cast(Any, installation.app.conf)
    app = make_celery_app(
        conf.broker_url, conf.result_backend, transport=conf.broker_transport_options
    )
    settings = MonitorSettings(outbox_url=installation.outbox)
    facts = await collect(settings, app, store=False)
    said = find_problems(facts)
    assert is_healthy(said), said
    assert {one.code for one in said} == {"broker_kind"}
    # That of the test before may be heard of still.
    assert {(one.outbox, one.beats, one.version[:2]) for one in facts.workers} == {
        (True, True, "5.")
    }


async def test_an_agent_starts_a_task_and_waits_for_it(
    installation: Installation,
) -> None:
    transport = StreamableHttpTransport(
        f"{installation.herald.url}mcp", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    async with Client(transport) as agent:
        given = {"task_type": "add", "params": {"x": 1, "y": 2}, "tags": ["agent"]}
        started = await agent.call_tool("start_background_task", given)
        task_id = cast(Any, started).structured_content["task_id"]
        answer = await agent.call_tool("wait_for_task", {"task_id": task_id})
        assert cast(Any, answer).structured_content["status"] == "success"
        refused = await agent.call_tool(
            "cancel_task",
            {"task_id": installation.send("sleepy", 20)},
            raise_on_error=False,
        )
    shown = (await asyncio.to_thread(installation.herald.tasks, tag="agent"))[task_id]
    assert (shown["state"], shown["tags"]) == ("SUCCESS", ["agent"])
    assert "carries no remote control" in str(refused.content)
