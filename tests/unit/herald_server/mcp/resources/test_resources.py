"""Lists, groups, workers, health and task types as resources; completions; prompts."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from fastmcp import Client
from mcp.client import Client as RawClient
from mcp.shared.exceptions import MCPError
from mcp.types import (
    EmptyResult,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
)

from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.worker_record import Worker
from tests.support.herald.mcp_environment import SNAPSHOT, House, house
from tests.support.herald.memory_server import worker_of
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The era that the client speaks."""
    return str(request.param)


@asynccontextmanager
async def opened(
    mode: str, *, monitored: bool = True
) -> AsyncGenerator[tuple[House, Client[Any]], None]:
    async with (
        house(monitored=monitored) as made,
        Client(made.door, mode=mode) as client,
    ):
        yield made, client


async def read(client: Client[Any], uri: str) -> Any:
    """Return the JSON of a resource."""
    (content,) = await client.read_resource(uri)
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text)


async def hear_of(made: House, worker: Worker) -> None:
    """Store what a worker said of itself."""
    await made.store.store([], [worker], now=worker.received_at)


# -- what is read ----------------------------------------------------------------------


async def test_failed_tasks_are_listed_with_why(mode: str) -> None:
    async with opened(mode) as (made, client):
        for number, kind in enumerate(("failed", "rejected", "succeeded", "revoked")):
            await made.started(f"t{number}")
            await made.tell(kind, f"t{number}", exception="ValueError('no')")
        told = await read(client, "tasks://failed")
    assert told["total_failed"] == 2
    assert {one["task_id"] for one in told["tasks"]} == {"t0", "t1"}
    failed = next(one for one in told["tasks"] if one["task_id"] == "t0")
    assert failed["error"] == "ValueError('no')"
    assert failed["task_type"] == "metrics_snapshot"
    assert failed["failed_at"].endswith("Z")


async def send_in_group(made: House, task_id: str) -> None:
    """Let Herald send a task of the group G, of which it then knows all tasks."""
    await made.tell("sent", task_id, source="submitted", name=SNAPSHOT, group_id="G")


async def test_a_group_rolls_up_its_tasks(mode: str) -> None:
    async with opened(mode) as (made, client):
        for number in range(4):
            await send_in_group(made, f"g{number}")
            await made.tell("received", f"g{number}")
        await made.tell("started", "g0")
        await made.progress("g0", 50, "half")
        await made.tell("started", "g1")
        await made.tell("succeeded", "g1")
        await made.started("other")
        told = await read(client, "group://G")
    assert (told["total"], told["done"], told["final"]) == (4, 1, False)
    assert told["counts"] == {"received": 2, "started": 1, "success": 1}
    assert told["progress"] == {"percent": 37.5, "current": 1, "total": 4}
    assert {task["id"] for task in told["tasks"]} == {"g0", "g1", "g2", "g3"}


async def test_a_group_of_which_all_have_ended_is_final(mode: str) -> None:
    async with opened(mode) as (made, client):
        await send_in_group(made, "g0")
        await made.tell("received", "g0")
        await made.tell("revoked", "g0")
        told = await read(client, "group://G")
        nobody = await read(client, "group://nobody")
    assert (told["final"], told["progress"]["percent"]) == (True, 100)
    assert (nobody["total"], nobody["final"]) == (0, False)
    assert "no task of this group" in nobody["message"]


async def test_a_worker_tells_what_it_runs(mode: str) -> None:
    async with opened(mode) as (made, client):
        await hear_of(made, worker_of("celery@one", active=1, processed=7))
        await made.started("t1")
        told = await read(client, "worker://celery@one")
        escaped = await read(client, "worker://celery%40one")
        with pytest.raises(MCPError, match="did you mean celery@one"):
            await client.read_resource("worker://celery@on")
    assert (told["state"], told["processed"]) == ("online", 7)
    assert told["running"] == [{"id": "t1", "name": SNAPSHOT}]
    assert escaped["id"] == "celery@one"


async def test_health_says_what_is_wrong(mode: str) -> None:
    async with opened(mode, monitored=False) as (_, client):
        told = await read(client, "herald://health")
    assert told["status"] == "down"
    assert "no monitor" in told["problem"]


async def test_task_types_have_two_names(mode: str) -> None:
    async with opened(mode) as (_, client):
        told = await read(client, "herald://task-types")
        assert told == await read(client, "catalog://task-types")
    assert len(told) == 10


# -- what is watched -------------------------------------------------------------------


async def gap(made: House) -> None:
    """Open a gap."""
    now = to_rfc3339(1.0)
    await made.store.open_gap(Gap(id="g", since=now, until=now, reason="test"))


CHANGES: dict[str, Callable[[House], Any]] = {
    "tasks://failed": lambda made: made.tell("failed", "t1"),
    "group://G": lambda made: made.tell("started", "t1"),
    "worker://celery@one": lambda made: hear_of(made, worker_of("celery@one", pid=8)),
    "worker://celery%40one": lambda made: hear_of(made, worker_of("celery@one", pid=8)),
    "herald://health": gap,
}


@pytest.mark.parametrize("uri", CHANGES)
async def test_each_can_be_listened_to(uri: str) -> None:
    async with house() as made:
        await made.tell("received", "t1", name=SNAPSHOT, group_id="G")
        async with raw(made) as client:
            asked = [uri, "herald://task-types"]
            async with client.listen(resource_subscriptions=asked) as stream:
                assert stream.honored.resource_subscriptions == asked
                await CHANGES[uri](made)
                async with asyncio.timeout(30):
                    event = await anext(aiter(stream))
        assert event.uri == uri


@pytest.mark.parametrize("uri", CHANGES)
async def test_each_can_be_subscribed_to_in_the_older_era(uri: str) -> None:
    told = asyncio.Event()

    async def note(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            assert str(message.params.uri) == uri
            told.set()

    async with house() as made:
        await made.tell("received", "t1", name=SNAPSHOT, group_id="G")
        async with raw(made, mode="legacy", message_handler=note) as client:
            for one in (uri, "herald://task-types"):
                params = SubscribeRequestParams(uri=one)
                request = SubscribeRequest(params=params)
                await client.session.send_request(request, EmptyResult)
            await CHANGES[uri](made)
            async with asyncio.timeout(30):
                await told.wait()
        await wait_until_async(lambda: not made.hub.count_subscribers())


async def test_a_busy_list_is_told_of_once_a_second_at_most() -> None:
    told: list[float] = []
    async with (
        house() as made,
        raw(made) as client,
        client.listen(resource_subscriptions=["tasks://active"]) as stream,
    ):
        now = asyncio.get_running_loop().time

        async def count() -> None:
            async for _ in stream:
                told.append(now())

        counting = asyncio.create_task(count())
        number = 0
        while len(told) < 3:
            await made.tell("received", f"t{number}", name=SNAPSHOT)
            number += 1
            await asyncio.sleep(0.01)
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
    # A little less than a second: they are told at the other end of a stream.
    assert all(late - early > 0.9 for early, late in pairwise(told))


@asynccontextmanager
async def raw(made: House, **options: Any) -> AsyncGenerator[Any, None]:
    server: Any = made.door._mcp_server  # pyright: ignore[reportPrivateUsage]
    async with RawClient(server, **options) as client:
        yield client


# -- completions -----------------------------------------------------------------------

COMPLETED: list[tuple[str, str, str, list[str]]] = [
    ("task://{task_id}", "task_id", "t", ["t2", "t1"]),
    ("task://{task_id}", "task_id", "zzz", []),
    ("group://{group_id}", "group_id", "", ["G"]),
    ("worker://{name}", "name", "cel", ["celery@one"]),
]


@pytest.mark.parametrize(("uri", "name", "typed", "expected"), COMPLETED)
async def test_ids_and_names_are_completed(
    mode: str, uri: str, name: str, typed: str, expected: list[str]
) -> None:
    async with opened(mode) as (made, client):
        await made.tell("received", "t1", name=SNAPSHOT, group_id="G")
        await made.tell("received", "t2", name=SNAPSHOT, group_id="G")
        await made.tell("received", "another", name=SNAPSHOT)
        await hear_of(made, worker_of("celery@one"))
        ref = ResourceTemplateReference(uri=uri)
        told = await client.complete(ref, {"name": name, "value": typed})
    assert told.values == expected


async def test_task_types_of_a_prompt_are_completed(mode: str) -> None:
    async with opened(mode) as (_, client):
        ref = PromptReference(name="diagnose_failures")
        asked = {"name": "task_type", "value": "metrics_c"}
        told = await client.complete(ref, asked)
    assert told.values == ["metrics_computation", "metrics_cleanup"]


# -- prompts ---------------------------------------------------------------------------


async def asked(client: Client[Any], name: str, **arguments: str) -> tuple[str, Any]:
    """Return the question of a prompt, and the facts beside it."""
    result = await client.get_prompt(name, arguments)
    (message,) = result.messages
    assert isinstance(message.content, TextContent)
    question, _, rest = message.content.text.partition("```json\n")
    return question, json.loads(rest.removesuffix("\n```"))


async def test_a_diagnosis_begins_with_the_failures_by_kind(mode: str) -> None:
    async with opened(mode, monitored=False) as (made, client):
        for number in range(3):
            await made.started(f"t{number}")
            await made.tell("failed", f"t{number}", exception=f"KeyError('{number}')")
        await made.started("u", "other.task")
        await made.tell("failed", "u", exception="OSError('gone')")
        question, facts = await asked(client, "diagnose_failures")
        _, some = await asked(client, "diagnose_failures", task_type="metrics_snapshot")
    assert "Diagnose" in question
    assert facts["failed_in_the_last_hour"] == 4
    assert facts["by_kind"][0]["exception"] == "KeyError"
    assert facts["by_kind"][0]["count"] == 3
    assert facts["newest"][0]["task_id"] == "u"
    assert facts["herald"]["status"] == "down"
    assert some["failed_in_the_last_hour"] == 3


async def test_a_run_is_summarised_with_all_of_its_tasks(mode: str) -> None:
    async with opened(mode) as (made, client):
        await made.started("root")
        await made.tell("received", "child", name=SNAPSHOT, root_id="root")
        await made.tell("succeeded", "root", result="'fine'")
        _, facts = await asked(client, "summarise_run", task_id="child")
        with pytest.raises(MCPError, match="never heard of"):
            await client.get_prompt("summarise_run", {"task_id": "nobody"})
    assert facts["task"]["id"] == "child"
    assert {task["id"] for task in facts["run"]["tasks"]} == {"root", "child"}
    assert facts["run"]["done"] == 1


async def test_a_deployment_is_watched_from_how_things_stand(mode: str) -> None:
    async with opened(mode) as (made, client):
        await hear_of(made, worker_of("celery@one", sw_ident="py-celery", sw_ver="5.6"))
        await made.started("t1")
        question, facts = await asked(client, "watch_deployment")
    assert "tasks://failed" in question
    assert facts["counts"] == {"STARTED": 1}
    assert [worker["id"] for worker in facts["workers"]] == ["celery@one"]
