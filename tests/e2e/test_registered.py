"""Without a herald.toml the catalog is what is registered: read of, and not started."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from fastmcp import Client

from herald_server.catalog.catalog import Catalog, TaskType
from tests.support.celery.project import make_app
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.mcp_environment import House, call, house, refused
from tests.support.herald.memory_server import worker_of
from tests.support.herald.server import serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

SAMPLE = "app.tasks.schedule_metrics_tasks.snapshot_metrics"


def _without_sample(app: Celery) -> Celery:
    """Let `app` register the tasks of a project that is not the sample's."""
    for name in [name for name in app.tasks if name.startswith("app.")]:
        del app.tasks[name]
    return app


async def test_types_of_the_app_are_listed_and_not_started(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = _without_sample(project_app(valkey.url))
    async with (
        serving(valkey.url, celery=app) as server,
        Client(f"{server.url}mcp", auth=TOKEN) as client,
    ):
        listed = (await call(client, "list_task_types"))["task_types"]
        said = await refused(
            client, "start_background_task", task_type="add", params={"x": 1, "y": 2}
        )
        unknown = await refused(
            client, "start_background_task", task_type="metrics_snapshot"
        )
        tools = {tool.name: tool.description for tool in await client.list_tools()}
        queues = await server.store.count_by_state()
    names = {one["task_type"]: one for one in listed}
    assert not [name for name in names if "metrics" in name or "resilience" in name]
    assert not any(one["startable"] for one in listed)
    assert names["add"]["params"]["properties"] == {
        "x": {"type": "integer"},
        "y": {"type": "integer"},
    }
    assert "no herald.toml lets it be started: add allow = ['add']" in said
    assert "unknown task type 'metrics_snapshot'" in unknown
    assert queues == {}
    told = " ".join(str(one) for one in tools.values())
    assert "metrics_" not in told
    assert "resilience_" not in told
    assert "none: no herald.toml lists any" in str(tools["start_background_task"])


async def test_what_is_registered_and_allowed_is_started(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    path = tmp_path / "herald.toml"
    path.write_text('allow = ["ad*"]\n')
    app = _without_sample(project_app(valkey.url))
    async with (
        serving(valkey.url, celery=app, catalog=path) as server,
        Client(f"{server.url}mcp", auth=TOKEN) as client,
    ):
        listed = (await call(client, "list_task_types"))["task_types"]
        started = await call(
            client, "start_background_task", task_type="add", params={"x": 1, "y": 2}
        )
    assert [one["task_type"] for one in listed if one["startable"]] == ["add"]
    assert started["status"] == "queued"


@pytest.mark.celery
@pytest.mark.parametrize("heard", [True, False])
async def test_names_are_learnt_from_workers_that_join(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    heard: bool,
) -> None:
    project = project_app(valkey.url, valkey.url)
    names = str(project.conf.herald_names)
    # As with --broker: the app registers nothing.
    bare = make_app(valkey.url, valkey.url, names)
    for name in [name for name in bare.tasks if not name.startswith("celery.")]:
        del bare.tasks[name]
    catalog = Catalog.make_undeclared()
    async with house(bare, catalog=catalog) as made, Client(made.door) as client:
        assert list(catalog) == []
        worker = celery_worker(project)
        if heard:
            await _heard_of(made, worker.hostname)
        # The first order looks.
        started = await call(
            client, "start_background_task", task_type="metrics_snapshot"
        )
        said = await refused(client, "start_background_task", task_type="add")
        tools = {tool.name: tool.description for tool in await client.list_tools()}
        task = await made.store.get_task(started["task_id"])
    assert task.name == SAMPLE
    assert "add is registered, but no herald.toml lets it be started" in said
    assert "- metrics_snapshot(" in str(tools["start_background_task"])
    assert "- add(" not in str(tools["start_background_task"])


async def _heard_of(made: House, hostname: str) -> None:
    await made.store.store([], [worker_of(hostname)], now=time.time())


def test_a_declared_catalog_learns_nothing() -> None:
    catalog = Catalog([TaskType("report", "reports.monthly")])
    catalog.add_registered([TaskType("add", "add"), TaskType(SAMPLE, SAMPLE)])
    assert [kind.name for kind in catalog] == ["report"]


def test_the_shipped_types_are_those_that_are_registered() -> None:
    catalog = Catalog.make_undeclared()
    catalog.add_registered([TaskType("add", "add"), TaskType(SAMPLE, SAMPLE)])
    known: dict[str, Any] = {kind.name: kind.startable for kind in catalog}
    assert known == {"metrics_snapshot": True, "add": False}
