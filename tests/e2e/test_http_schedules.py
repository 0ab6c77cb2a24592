"""Schedules over HTTP: what did not run, and what people say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from herald_core.model.filters import Filter
from herald_core.model.schedules.marks import CONFIRMED_KIND, read_marks
from tests.support.celery.worker import AppFactory
from tests.support.clients.http import asking, refused
from tests.support.clients.websocket import connected
from tests.support.herald.server import let_in, serving
from tests.support.schedules.stored import (
    make_spec,
    store_learnt,
    store_schedule,
)
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

SCHEDULES = "/api/v1/schedules"


async def test_schedules_are_listed_with_the_most_urgent_first(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        await store_schedule(server.store, make_spec("calm"))
        id_ = await store_schedule(server.store, make_spec("nightly"), missed=1)
        told = (await ask.get(SCHEDULES)).json()
        assert [one["name"] for one in told["schedules"]] == ["nightly", "calm"]
        assert told["states"] == {"missed": 1, "waiting": 1}
        one = (await ask.get(f"{SCHEDULES}/{id_}")).json()
        assert (one["id"], one["state"]) == (id_, "missed")
        assert (await ask.get(f"{SCHEDULES}/nightly")).json()["id"] == id_
        refused(await ask.get(f"{SCHEDULES}/nothing"), 404, "no schedule 'nothing'")


async def test_what_did_not_run_needs_a_person(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        id_ = await store_schedule(server.store, make_spec("nightly"), missed=1)
        [alert] = (await ask.get("/api/v1/overview")).json()["schedules"]
        assert (alert["id"], alert["kind"], alert["name"]) == (id_, "missed", "nightly")
        health = (await ask.get("/api/v1/health")).json()
        assert health["schedules"] == {"missed": 1}


async def test_changes_of_schedules_are_pushed(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server, connected(server) as client:
        watched = await client.subscribe("s", topic="schedules")
        id_ = await store_schedule(server.store, make_spec("nightly"), missed=1)
        await wait_until_async(lambda: id_ in watched.items)
        images = [one for frame in client.of("data") for one in frame["put"]]
        assert images[-1]["state"] == "missed"


async def test_a_muted_schedule_is_no_alert(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        id_ = await store_schedule(server.store, make_spec("nightly"), missed=1)
        done = await ask.post(f"{SCHEDULES}/{id_}/mute")
        assert (done.status_code, done.json()["action"]) == (200, "mute")
        assert (await ask.get(f"{SCHEDULES}/{id_}")).json()["muted"] is True
        assert (await ask.get("/api/v1/overview")).json()["schedules"] == []
        await ask.post(f"{SCHEDULES}/nightly/unmute")
        assert len((await ask.get("/api/v1/overview")).json()["schedules"]) == 1
        orders = (await ask.get("/api/v1/audit")).json()["orders"]
        assert {one["what"] for one in orders} == {"mute_schedule", "unmute_schedule"}


async def test_a_learnt_schedule_is_confirmed_by_a_person(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        id_ = await store_learnt(server.store)
        assert (await ask.get(f"{SCHEDULES}/{id_}")).json()["state"] == "unconfirmed"
        assert (await ask.post(f"{SCHEDULES}/{id_}/confirm")).status_code == 200
        one = (await ask.get(f"{SCHEDULES}/{id_}")).json()
        assert (one["confirmed"], one["state"]) == (True, "waiting")
        marks = read_marks(await server.store.get_items(CONFIRMED_KIND))
        assert marks[id_].learnt is not None, "what the monitor then follows"


async def test_only_what_was_learnt_is_confirmed(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        await store_schedule(server.store, make_spec("nightly"))
        answer = await ask.post(f"{SCHEDULES}/nightly/confirm")
        refused(answer, 400, "only one that was learnt")
        refused(await ask.post(f"{SCHEDULES}/nightly/erase"), 404, "can be confirm")
        refused(await ask.post(f"{SCHEDULES}/nobody/mute"), 404, "no schedule")


async def test_a_schedule_runs_now_with_its_own_arguments(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app, path = project_app(valkey.url), tmp_path / "herald.toml"
    path.write_text('allow = ["add"]')
    async with (
        serving(valkey.url, celery=app, catalog=path) as server,
        asking(server) as ask,
    ):
        id_ = await store_schedule(server.store, make_spec("nightly"))
        answer = await ask.post(f"{SCHEDULES}/{id_}/run")
        assert answer.status_code == 201, answer.text
        task = await server.store.get_task(answer.json()["task_id"])
        assert (task.name, task.args) == ("add", "(1, 2)")
        assert task.tags == ("schedule:nightly",)
        lazy = make_spec("lazy", args=None)
        await store_schedule(server.store, lazy)
        answer = await ask.post(f"{SCHEDULES}/lazy/run")
        refused(answer, 400, "start the task itself")


async def test_who_may_not_is_refused(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server:
        await store_schedule(server.store, make_spec("nightly"), missed=1)
        let_in(server, "reader", scopes=frozenset(["read"]))
        let_in(server, "narrow", task_filter=Filter(name=("add",)))
        async with asking(server, {"Authorization": "Bearer reader"}) as ask:
            assert (await ask.get(SCHEDULES)).status_code == 200
            for action in ("mute", "confirm", "run"):
                answer = await ask.post(f"{SCHEDULES}/nightly/{action}")
                assert answer.status_code == 403, action
        async with asking(server, {"Authorization": "Bearer narrow"}) as ask:
            assert (await ask.get(SCHEDULES)).status_code == 403
            assert (await ask.post(f"{SCHEDULES}/nightly/run")).status_code == 403
            assert "schedules" not in (await ask.get("/api/v1/health")).json()
