"""Tools by scope and by profile, task types as schemas and as tools of their own."""

from typing import Any

import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from herald_core.model.filters import Filter
from herald_server.auth.identity import SCOPES, Identity
from herald_server.catalog.catalog import Catalog, Param, TaskType
from herald_server.mcp.http.auth import local_user
from herald_server.mcp.profiles.profile import ToolProfile, process_profile
from herald_server.mcp.profiles.toolsets import RIGHTS, UNNARROWED_TOOLS
from tests.support.celery.worker import AppFactory
from tests.support.clients.mcp_scopes import NEEDS
from tests.support.herald.mcp_environment import (
    House,
    call,
    house,
    over_http,
    refused,
)
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

MINE = Filter(tag=("mine",))
TOKENS = {
    "reader-token": Identity("reader", frozenset(["read"])),
    "starter-token": Identity("starter", frozenset(["read", "start"])),
    "whole-token": Identity("whole"),
    "narrow-token": Identity("narrow", frozenset(SCOPES), MINE),
    "issued-token": Identity("jwt:ann", frozenset(["read"])),
}
EITHER = {"confirm_bulk_order", "stop_order"}

KINDS = (
    TaskType(
        "reports.daily",
        "shop.reports.daily",
        description="Make the daily report.",
        params=(
            Param("day", "string", format="date", required=True),
            Param("copies", "integer", default=1),
        ),
        tool=True,
    ),
    TaskType("wipe", "shop.wipe", scope="admin", tool=True, confirm=True),
    TaskType("plain", "shop.plain"),
)


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker."""
    return project_app(module_valkey.url, module_valkey.url)


def connect(url: str, token: str, **headers: str) -> Client[Any]:
    """Return a client with a token and the headers of a profile."""
    return Client(
        StreamableHttpTransport(
            url, headers={"Authorization": f"Bearer {token}", **headers}
        )
    )


async def list_names(client: Client[Any]) -> set[str]:
    """Return the names of the tools."""
    return {tool.name for tool in await client.list_tools()}


def test_every_tool_is_in_a_toolset() -> None:
    assert RIGHTS.keys() == NEEDS.keys()
    for name, (scope, _) in NEEDS.items():
        assert RIGHTS[name].scopes == {scope} or name in EITHER


async def test_a_token_sees_only_tools_that_it_could_use() -> None:
    async with house() as made, over_http(made, TOKENS) as url:
        seen: dict[str, set[str]] = {}
        for token in TOKENS:
            async with connect(url, token) as client:
                seen[token] = await list_names(client)
        async with connect(url, "reader-token") as client:
            said = await refused(client, "cancel_task", task_id="t")
    reads = {name for name, (scope, _) in NEEDS.items() if scope == "read"} - EITHER
    starts = {name for name, (scope, _) in NEEDS.items() if scope == "start"}
    assert seen["whole-token"] == set(NEEDS)
    assert seen["reader-token"] == reads
    assert seen["starter-token"] == reads | starts | EITHER
    assert seen["narrow-token"] == set(NEEDS) - UNNARROWED_TOOLS
    assert seen["issued-token"] == set(NEEDS), "its issuer may give it more scopes"
    assert said == "cancel_task needs a token with the scope cancel"


async def test_headers_choose_toolsets_and_only_reading() -> None:
    headers = {"Herald-Toolsets": "tasks, queues", "Herald-Read-Only": "true"}
    async with house() as made, over_http(made, TOKENS) as url:
        async with connect(url, "whole-token", **headers) as client:
            names = await list_names(client)
            cancels = await refused(client, "cancel_task", task_id="t")
            workers = await refused(client, "list_workers")
            assert (await call(client, "list_queues"))["total"] == 0
        async with connect(url, "whole-token", **{"Herald-Toolsets": "taks"}) as client:
            wrong = await refused(client, "list_queues")
    assert {"get_task_status", "list_queues"} < names
    assert not names & {"cancel_task", "list_workers", "pause_queue"}
    assert (
        "cancel_task is not in the profile of this client: it is read-only" in cancels
    )
    assert "list_workers is not in the profile" in workers
    assert "unknown toolset 'taks' (did you mean tasks?); there are tasks" in wrong


async def test_a_wait_is_no_longer_than_the_client_can_bear() -> None:
    async with house() as made, over_http(made, TOKENS) as url:
        await made.started("t1")
        async with connect(url, "whole-token", **{"Herald-Max-Wait": "0.05"}) as client:
            told = await call(client, "wait_for_task", task_id="t1")
            group = await call(client, "wait_for_group", group_id="never")
    assert told["done"] is False
    assert "call wait_for_task again" in told["message"]
    assert group["status"] == "unknown"


async def test_a_local_client_has_the_scopes_and_tools_that_were_chosen() -> None:
    who = local_user.set(Identity("local", frozenset(["read"])))
    chosen = process_profile.set(ToolProfile(toolsets=frozenset(["tasks"])))
    try:
        async with house() as made, Client(made.door) as client:
            names = await list_names(client)
            said = await refused(client, "cancel_task", task_id="t")
    finally:
        local_user.reset(who)
        process_profile.reset(chosen)
    assert "get_task_status" in names
    assert not names & {"cancel_task", "list_queues"}
    assert said == "cancel_task needs a token with the scope cancel"


# -- the catalog in the tools ---------------------------------------------------


async def get_tools(made: House) -> dict[str, Any]:
    """Return the tools by name."""
    async with Client(made.door) as client:
        return {tool.name: tool for tool in await client.list_tools()}


async def test_a_closed_catalog_is_an_enum_and_its_params_are_typed(
    app: Celery,
) -> None:
    async with house(app, catalog=Catalog(KINDS)) as made:
        tools = await get_tools(made)
    start = tools["start_background_task"].input_schema["properties"]
    assert start["task_type"]["enum"] == ["reports.daily", "wipe", "plain"]
    params = start["params"]["anyOf"][0]
    assert params["additionalProperties"] is False
    assert params["properties"]["copies"] == {
        "anyOf": [{"type": "integer"}, {"type": "null"}]
    }
    member = tools["start_task_group"].input_schema["properties"]["tasks"]["items"]
    assert member["properties"]["task_type"]["enum"] == start["task_type"]["enum"]
    assert member["additionalProperties"] is False


async def test_an_open_catalog_has_no_enum(app: Celery) -> None:
    async with house(app, catalog=Catalog(KINDS, allow=["shop.*"])) as made:
        tools = await get_tools(made)
    start = tools["start_background_task"].input_schema["properties"]
    assert "enum" not in start["task_type"]


async def test_no_input_is_a_free_object_but_the_arguments_of_a_retry(
    app: Celery,
) -> None:
    async with house(app, catalog=Catalog(KINDS)) as made:
        tools = await get_tools(made)
    free = {
        name
        for name, tool in tools.items()
        if any(_is_free(one) for one in tool.input_schema["properties"].values())
    }
    assert free == {"retry_task"}


def _is_free(schema: dict[str, Any]) -> bool:
    inner = [schema, *schema.get("anyOf", ()), schema.get("items", {})]
    return any(
        one.get("type") == "object" and one.get("additionalProperties") is not False
        for one in inner
    )


async def test_a_task_type_has_a_tool_of_its_own(app: Celery) -> None:
    async with house(app, catalog=Catalog(KINDS)) as made, Client(made.door) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        told = await call(client, "start_reports_daily", day="2026-01-31", copies=None)
        wrong = await refused(client, "start_reports_daily", day="soon")
        asks = await refused(client, "start_wipe")
        task = await made.store.get_task(told["task_id"])
    tool = tools["start_reports_daily"]
    assert tool.input_schema["properties"].keys() == {"day", "copies"}
    assert tool.input_schema["required"] == ["day"]
    assert str(tool.description).startswith("Make the daily report.")
    assert "start_plain" not in tools
    assert (told["task_type"], told["status"]) == ("reports.daily", "queued")
    assert (task.name, task.kwargs) == (
        "shop.reports.daily",
        "{'day': '2026-01-31', 'copies': 1}",
    )
    assert "day must be a date" in wrong
    assert "confirm=true" in asks


async def test_a_typed_tool_needs_the_scope_of_its_type(app: Celery) -> None:
    async with (
        house(app, catalog=Catalog(KINDS)) as made,
        over_http(made, TOKENS) as url,
        connect(url, "starter-token") as client,
        connect(url, "reader-token") as reader,
    ):
        names = await list_names(client)
        said = await refused(client, "start_wipe", confirm=True)
        assert "start_reports_daily" not in await list_names(reader)
    assert "start_reports_daily" in names
    assert "start_wipe" not in names
    assert "admin" in said


async def test_starting_is_not_destructive_and_cancelling_is() -> None:
    async with house() as made:
        tools = await get_tools(made)
    hints = {n: tool.annotations.destructive_hint for n, tool in tools.items()}
    destructive = {name for name, hint in hints.items() if hint}
    assert destructive == {
        *("cancel_task", "cancel_group", "confirm_bulk_order", "purge_queue"),
        *("delete_webhook", "dismiss_worker", "order_worker", "pause_queue"),
    }


# -- arguments as models write them ---------------------------------------------


async def test_nulls_and_texts_of_json_are_taken(app: Celery) -> None:
    async with house(app, catalog=Catalog(KINDS)) as made, Client(made.door) as client:
        told = await call(
            client,
            "start_background_task",
            task_type="reports.daily",
            params='{"day": "2026-01-31", "copies": null}',
            confirm=None,
            tags='["mine"]',
        )
        group = await call(
            client, "start_task_group", tasks='[{"task_type": "plain", "params": null}]'
        )
        waited = await call(
            client, "wait_for_task", task_id=told["task_id"], timeout_s=0, most=None
        )
        changes = await call(
            client,
            "wait_for_changes",
            filter={"ids": [told["task_id"]], "name": None, "state": None},
        )
    assert told["tags"] == ["mine"]
    assert group["total"] == 1
    assert (waited["status"], waited["tags"]) == ("pending", ["mine"])
    assert [one["id"] for one in changes["put"]] == [told["task_id"]]


async def test_a_task_that_waits_names_what_explains_it_once(app: Celery) -> None:
    async with house(app, catalog=Catalog(KINDS)) as made, Client(made.door) as client:
        queue = str(app.conf.task_default_queue)
        told = await call(
            client, "start_background_task", task_type="plain", queue=queue
        )
        ahead = await call(
            client, "start_background_task", task_type="plain", countdown=3600
        )
        id_ = told["task_id"]
        answers = [
            told,
            await call(client, "get_task_status", task_id=id_),
            await call(client, "wait_for_task", task_id=id_, timeout_s=0),
            await call(client, "list_active_tasks"),
        ]
        later = await call(client, "get_task_status", task_id=ahead["task_id"])
    for answer in answers:
        assert answer["message"].count("explain_task") == 1, answer
        assert "{" not in answer["message"]
    assert told["queue"] == answers[1]["queue"] == queue
    assert ahead["eta"] == later["eta"]
    assert "It is scheduled for" in later["message"]
    assert "explain_task" not in later["message"]


async def test_a_type_that_was_given_as_a_name_is_told(app: Celery) -> None:
    async with house(app, catalog=Catalog(KINDS)) as made, Client(made.door) as client:
        told = await call(client, "list_tasks", name="plain")
    assert "plain is a task type: give it as task_type" in told["message"]
