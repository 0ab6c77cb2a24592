"""The MCP tools, in memory, in both eras of the protocol."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from mcp.types import TextResourceContents

from herald_core.model.events.event import Event
from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from herald_server.mcp.start import run_shielded
from tests.support.celery.worker import AppFactory
from tests.support.herald.mcp_environment import SNAPSHOT, House, call, house, refused
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

CRISIS = "resilience_crisis_activation"
CRISIS_PARAMS = {"severity": "critical", "reason": "flood"}


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The era that the client speaks."""
    return str(request.param)


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker, which is its result backend too."""
    return project_app(module_valkey.url, module_valkey.url)


@asynccontextmanager
async def opened(
    mode: str, app: Celery | None = None, **options: Any
) -> AsyncGenerator[tuple[House, Client[Any]], None]:
    async with house(app) as made, Client(made.door, mode=mode, **options) as client:
        yield made, client


def queued(server: PrivateValkey, app: Celery) -> list[Any]:
    """Return the messages that wait in the app's queue."""
    name = str(app.conf.task_default_queue)
    with server.client() as client:
        return [json.loads(one) for one in client.lrange(name, 0, -1)]


# -- what a model sees ---------------------------------------------------------


async def test_every_tool_and_field_is_described(mode: str) -> None:
    async with opened(mode) as (_, client):
        tools = {tool.name: tool for tool in await client.list_tools()}
    assert len(tools) == 41
    for tool in tools.values():
        assert tool.description
        assert tool.title
        assert tool.annotations is not None
        assert tool.output_schema is not None
        given = tool.input_schema["properties"].values()
        assert all("description" in field for field in given)


async def test_hints_tell_reading_from_doing(mode: str) -> None:
    async with opened(mode) as (_, client):
        hints = {tool.name: tool.annotations for tool in await client.list_tools()}
    doing = {n for n, hint in hints.items() if hint and not hint.read_only_hint}
    verbs = {
        *("start", "retry", "cancel", "register", "delete", "dismiss", "confirm"),
        *("stop", "purge", "order", "pause", "resume", "run", "mark"),
    }
    assert {name.partition("_")[0] for name in doing} == verbs
    assert len(doing) == 18
    cancel = hints["cancel_task"]
    assert cancel is not None
    assert cancel.destructive_hint
    assert cancel.idempotent_hint


async def test_the_tool_that_starts_names_all_types(mode: str) -> None:
    async with opened(mode) as (made, client):
        tools = {tool.name: tool for tool in await client.list_tools()}
        said = str(tools["start_background_task"].description)
        types = await client.read_resource("catalog://task-types")
    assert isinstance(types[0], TextResourceContents)
    names = [kind["task_type"] for kind in json.loads(types[0].text)]
    assert len(names) == 10
    assert all(name in said for name in names)
    assert "days_ahead: integer = 90" in said
    assert made.hub.count_subscribers() == 0


async def test_an_unknown_tool_is_refused_with_those_there_are(mode: str) -> None:
    async with opened(mode) as (_, client):
        said = await refused(client, "get_taskstatus", task_id="t")
    assert "did you mean get_task_status" in said


# -- get_task_status ---------------------------------------------------------------


async def test_status_of_a_task_that_runs(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        await made.progress("t1", 40, "half the blocks")
        told = await call(client, "get_task_status", task_id="t1")
    assert told["status"] == "started"
    assert told["progress"] == 40
    assert told["progress_message"] == "half the blocks"
    assert told["task_type"] == "metrics_snapshot"
    assert told["estimated_duration"] == "1-2 minutes"
    assert told["started_at"].endswith("Z")
    assert told["result"] is None


async def test_progress_is_never_invented(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        told = await call(client, "get_task_status", task_id="t1")
    assert told["progress"] is None


async def test_status_of_a_task_that_succeeded(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        await made.tell("succeeded", "t1", result="{'metrics': [1, 2]}", runtime=1.5)
        told = await call(client, "get_task_status", task_id="t1")
    assert (told["status"], told["progress"]) == ("success", 100)
    assert told["result"] == {"metrics": [1, 2]}
    assert told["completed_at"]


async def test_a_result_that_was_cut_is_told_as_such(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        await made.tell("succeeded", "t1", result="{'metrics': {...}}")
        told = await call(client, "get_task_status", task_id="t1")
    assert told["result"] == "{'metrics': {...}}"
    assert told["result_truncated"] is True


async def test_status_of_a_task_that_failed(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        await made.tell("failed", "t1", exception="ValueError('no')")
        told = await call(client, "get_task_status", task_id="t1")
    assert (told["status"], told["error"]) == ("failure", "ValueError('no')")
    assert told["progress"] is None


async def test_an_unknown_id_is_unknown_and_not_pending(mode: str) -> None:
    async with opened(mode) as (_, client):
        told = await call(client, "get_task_status", task_id="never-heard")
    assert told["status"] == "unknown"
    assert "never heard" in told["message"]


async def test_an_id_whose_record_ran_out_is_expired(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        await made.tell("succeeded", "t1")
        await made.store.expire_tasks(now=time.time() + 10 * 86_400)
        told = await call(client, "get_task_status", task_id="t1")
    assert told["status"] == "expired"
    assert told["message"]


async def test_a_lost_task_is_lost(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        lost = Event(kind="lost", task_id="t1", at=time.time(), source="inferred")
        await made.store.store([lost], now=time.time())
        told = await call(client, "get_task_status", task_id="t1")
    assert (told["status"], told["source"]) == ("lost", "inferred")


# -- wait_for_task ---------------------------------------------------------------


async def test_waiting_answers_when_the_task_ends(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        waiting = asyncio.create_task(call(client, "wait_for_task", task_id="t1"))
        await wait_until_async(lambda: made.hub.count_subscribers())
        await made.tell("succeeded", "t1", result="42")
        told = await asyncio.wait_for(waiting, 30)
        assert made.hub.count_subscribers() == 0
    assert told["done"] is True
    assert (told["status"], told["result"]) == ("success", 42)


async def test_waiting_reports_progress_that_only_grows(mode: str) -> None:
    heard: list[tuple[float, str | None]] = []

    async def note(at: float, total: float | None, said: str | None) -> None:
        heard.append((at, said))

    async with opened(mode, progress_handler=note) as (made, client):
        await made.tell("received", "t1", name=SNAPSHOT, retries=0)
        waiting = asyncio.create_task(call(client, "wait_for_task", task_id="t1"))
        for step in range(6):
            await wait_until_async(lambda: heard[step:])  # noqa: B023
            if step == 0:
                await made.tell("started", "t1")
            elif step < 5:
                await made.progress("t1", [0, 10, 60, 30, 100][step], f"step {step}")
            else:
                await made.tell("succeeded", "t1")
        await asyncio.wait_for(waiting, 30)
    numbers = [at for at, _ in heard]
    assert numbers == sorted(set(numbers))
    words = [said for _, said in heard]
    assert words[0] == "received"
    assert "started: step 3" in words
    assert heard[-1][0] == 100


async def test_waiting_no_longer_than_asked_says_what_to_do(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        told = await call(client, "wait_for_task", task_id="t1", timeout_s=0.05)
    assert told["done"] is False
    assert told["status"] == "started"
    assert "call wait_for_task again" in told["message"]


async def test_waiting_for_a_task_that_has_ended_answers_at_once(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        await made.tell("failed", "t1", exception="ValueError('no')")
        told = await asyncio.wait_for(
            call(client, "wait_for_task", task_id="t1", timeout_s=45), 30
        )
    assert (told["done"], told["error"]) == (True, "ValueError('no')")


async def test_waiting_for_a_task_that_is_heard_of_meanwhile(mode: str) -> None:
    async with opened(mode) as (made, client):
        waiting = asyncio.create_task(call(client, "wait_for_task", task_id="t1"))
        await wait_until_async(lambda: made.hub.count_subscribers())
        await made.started("t1")
        await made.tell("succeeded", "t1", result="1")
        told = await asyncio.wait_for(waiting, 30)
    assert told["status"] == "success"


async def test_waiting_for_an_unknown_id_ends_soon(mode: str) -> None:
    async with opened(mode) as (_, client):
        told = await call(client, "wait_for_task", task_id="nobody", timeout_s=0.1)
    assert (told["done"], told["status"]) == (False, "unknown")
    assert "check that it is complete" in told["message"]


async def test_a_task_that_is_lost_ends_the_waiting(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        waiting = asyncio.create_task(call(client, "wait_for_task", task_id="t1"))
        await wait_until_async(lambda: made.hub.count_subscribers())
        lost = Event(kind="lost", task_id="t1", at=time.time(), source="inferred")
        await made.store.store([lost], now=time.time())
        told = await asyncio.wait_for(waiting, 30)
    assert (told["done"], told["status"]) == (True, "lost")
    assert "explain_task" in told["message"]


async def test_waiting_ends_when_the_server_is_about_to_stop(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("t1")
        waiting = asyncio.create_task(call(client, "wait_for_task", task_id="t1"))
        await wait_until_async(lambda: made.hub.count_subscribers())
        made.shared.waiter.close()
        told = await asyncio.wait_for(waiting, 30)
    assert told["done"] is False


# -- list_active_tasks -------------------------------------------------------------


async def test_listing_shows_what_has_not_ended_newest_first(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("ended")
        await made.tell("succeeded", "ended")
        await made.tell("sent", "waits", name="another.project.task", retries=0)
        await made.started("runs")
        told = await call(client, "list_active_tasks")
    assert told["total_active"] == 2
    assert told["queried_at"].endswith("Z")
    by_id = {task["task_id"]: task for task in told["tasks"]}
    assert set(by_id) == {"waits", "runs"}
    assert by_id["runs"]["task_type"] == "metrics_snapshot"
    assert by_id["runs"]["status"] == "started"
    assert by_id["runs"]["started_at"]
    assert by_id["waits"]["task_name"] == "another.project.task"
    assert "task_type" not in by_id["waits"]


async def test_listing_one_type(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("one")
        await made.started("other", "app.resilience.tasks.periodic_health_check")
        told = await call(client, "list_active_tasks", task_type="metrics_snapshot")
    assert [task["task_id"] for task in told["tasks"]] == ["one"]


async def test_listing_more_than_fit_says_so() -> None:
    async with opened("auto") as (made, client):
        for number in range(8):
            await made.started(f"t{number}")
        told = await call(client, "list_active_tasks", limit=5)
        rest = await call(client, "list_active_tasks", limit=5, page=told["next"])
    assert told["total_active"] == 8
    assert told["counts"] == {"started": 8}
    assert len(told["tasks"]) == 5
    assert (len(rest["tasks"]), rest["next"]) == (3, None)
    assert "newest 5 of 8" in told["message"]


# -- start_background_task ---------------------------------------------------------


async def test_starting_sends_the_task(
    mode: str, app: Celery, module_valkey: PrivateValkey
) -> None:
    async with opened(mode, app) as (_, client):
        told = await call(
            client,
            "start_background_task",
            task_type="metrics_snapshot",
            params={"period_days": 30},
        )
        status = await call(client, "get_task_status", task_id=told["task_id"])
    sent = queued(module_valkey, app)[0]["headers"]
    assert (sent["id"], sent["task"]) == (told["task_id"], SNAPSHOT)
    assert told["status"] == "queued"
    assert told["task_type"] == "metrics_snapshot"
    assert told["estimated_duration"] == "1-2 minutes"
    assert told["queued_at"].endswith("Z")
    assert "wait_for_task" in told["message"]
    assert (status["status"], status["source"]) == ("pending", "submitted")


async def test_starting_without_a_broker_says_what_to_set(mode: str) -> None:
    async with opened(mode) as (_, client):
        said = await refused(
            client, "start_background_task", task_type="metrics_snapshot"
        )
        cancelled = await refused(client, "cancel_task", task_id="t1")
    assert "set HERALD_BROKER_URL" in said
    assert "set HERALD_BROKER_URL" in cancelled


async def test_a_store_that_is_gone_is_named(
    mode: str, valkey: PrivateValkey, app: Celery
) -> None:
    store = make_store(MonitorSettings(store_url=valkey.url))
    await store.open()
    start = {"task_type": "metrics_snapshot"}
    async with house(app, store) as made, Client(made.door, mode=mode) as client:
        valkey.kill()
        said = [
            await refused(client, "get_task_status", task_id="t1"),
            await refused(client, "list_active_tasks"),
            await refused(client, "wait_for_task", task_id="t1"),
            await refused(client, "cancel_task", task_id="t1"),
            await refused(client, "start_background_task", **start),
        ]
    await store.close()
    assert all(f"the store at {valkey.url}" in one for one in said), said


async def test_a_start_is_finished_even_if_its_client_leaves(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    async with house(app) as made:
        assert made.shared.control is not None
        order = made.shared.control.start("metrics_snapshot", {})
        with anyio.CancelScope() as leaving:
            leaving.cancel()
            await run_shielded(order)
        assert await made.store.count_by_state() == {"PENDING": 1}
    assert len(queued(module_valkey, app)) == 1


async def test_a_broker_that_is_gone_is_named(
    mode: str, project_app: AppFactory
) -> None:
    once: dict[str, object] = {"broker_transport_options": {"max_retries": 0}}
    gone = project_app("redis://127.0.0.1:1/0", None, **once)
    async with opened(mode, gone) as (_, client):
        said = await refused(
            client, "start_background_task", task_type="metrics_snapshot"
        )
    assert "the broker at redis://" in said
    assert "127.0.0.1:1/0 cannot be reached" in said


# -- confirmation ------------------------------------------------------------------


async def test_a_client_that_cannot_ask_must_confirm(
    mode: str, app: Celery, module_valkey: PrivateValkey
) -> None:
    start: dict[str, Any] = {"task_type": CRISIS, "params": CRISIS_PARAMS}
    async with opened(mode, app) as (_, client):
        said = await refused(client, "start_background_task", **start)
        assert "confirm=true" in said
        assert "severity='critical'" in said
        assert queued(module_valkey, app) == []
        told = await call(client, "start_background_task", **start, confirm=True)
    assert told["status"] == "queued"
    assert len(queued(module_valkey, app)) == 1


async def test_a_person_is_asked_where_the_client_can(
    mode: str, app: Celery, module_valkey: PrivateValkey
) -> None:
    asked: list[str] = []

    async def agree(message: str, *_: Any) -> dict[str, bool]:
        asked.append(message)
        return {"confirm": True} if mode == "auto" else {"value": True}

    async with opened(mode, app, elicitation_handler=agree) as (_, client):
        told = await call(
            client, "start_background_task", task_type=CRISIS, params=CRISIS_PARAMS
        )
    assert told["status"] == "queued"
    assert len(asked) == 1
    assert "reason='flood'" in asked[0]
    assert len(queued(module_valkey, app)) == 1


@pytest.mark.parametrize("action", ["decline", "cancel", "accept"])
async def test_without_consent_nothing_is_started(
    mode: str, app: Celery, module_valkey: PrivateValkey, action: Any
) -> None:
    key = "confirm" if mode == "auto" else "value"

    async def refuse(*_: Any) -> ElicitResult[Any]:
        content = {key: False} if action == "accept" else None
        return ElicitResult(action=action, content=content)

    async with opened(mode, app, elicitation_handler=refuse) as (_, client):
        said = await refused(
            client,
            "start_background_task",
            task_type=CRISIS,
            params=CRISIS_PARAMS,
            confirm=True,
        )
    assert "did not agree" in said
    assert queued(module_valkey, app) == []


async def test_wrong_parameters_are_refused_before_anybody_is_asked(
    mode: str, app: Celery
) -> None:
    async def agree(*_: Any) -> dict[str, bool]:
        raise AssertionError("nobody must be asked")

    async with opened(mode, app, elicitation_handler=agree) as (_, client):
        said = await refused(
            client, "start_background_task", task_type=CRISIS, params={}
        )
    assert said == "severity parameter required for crisis activation"


# -- cancel_task -------------------------------------------------------------------


async def test_cancelling_waits_for_a_worker_to_say_so(mode: str, app: Celery) -> None:
    async with opened(mode, app) as (made, client):
        await made.started("t1")
        cancelling = asyncio.create_task(call(client, "cancel_task", task_id="t1"))
        await wait_until_async(lambda: made.hub.count_subscribers())
        await made.tell("revoked", "t1", flag=True)
        told = await asyncio.wait_for(cancelling, 30)
    assert told["status"] == "revoked"
    assert "terminated while it ran" in told["message"]
    assert told["canceled_at"].endswith("Z")


async def test_cancelling_what_has_ended_comes_too_late(mode: str, app: Celery) -> None:
    async with opened(mode, app) as (made, client):
        await made.started("t1")
        await made.tell("succeeded", "t1")
        told = await call(client, "cancel_task", task_id="t1")
    assert told["status"] == "success"
    assert "Too late" in told["message"]
    assert told["canceled_at"] is None


async def test_no_parameter_travels_in_a_header() -> None:
    """Calls are answered without a look at all schemas, which would find one."""
    async with house() as made, Client(made.door) as client:
        schemas = [tool.input_schema for tool in await client.list_tools()]
        assert made.door._mcp_server.get_tool_input_schema  # pyright: ignore[reportPrivateUsage]
    assert len(schemas) > 10
    assert "x-mcp-header" not in json.dumps(schemas)
