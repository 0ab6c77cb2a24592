"""Find a task by what is in it: the same query at every interface."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastmcp import Client

from herald_client import Herald
from herald_client.models.answers import TaskList
from tests.support.herald.command_line import runner_at
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server

pytestmark = pytest.mark.anyio

BEARER = {"Authorization": f"Bearer {TOKEN}"}
ORDERS = 30


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server that knows orders 0 to 29; every third payment failed."""
    with live_server() as server:
        for number in range(ORDERS):
            tell_order(server, number)
        yield server


def tell_order(server: LiveServer, number: int) -> None:
    id_ = f"{number:08x}-order"
    server.tell(
        "received", id_, name="orders.charge", args="('=HYPERLINK(1)',)",
        kwargs=f"{{'order_id': {12300 + number}, 'token': '[redacted]'}}",
    )  # fmt: skip
    server.tell("started", id_)
    if number % 3:
        server.tell("succeeded", id_, result="'paid'", runtime=float(number))
    else:
        server.tell("failed", id_, exception="BankTimeout('no answer')", traceback="x")


def get(server: LiveServer, path: str = "tasks", **query: Any) -> httpx2.Response:
    return httpx2.get(f"{server.url}api/v1/{path}", params=query, headers=BEARER)


def numbers(tasks: list[dict[str, Any]]) -> list[int]:
    return [int(task["id"][:8], 16) for task in tasks]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("12307", [7]),
        ("kwargs.order_id:12307", [7]),
        ("0000000a", [10]),
        ("charge banktimeout last:10m 12300", [0]),
        ("took:>27s", [29, 28]),
        ("failed -12300 kwargs.order_id:1230*", [9, 6, 3]),
        ("unfinished", []),
    ],
)
def test_query_of_a_list(server: LiveServer, query: str, found: list[int]) -> None:
    answer = get(server, q=query).json()
    assert numbers(answer["tasks"]) == found
    assert answer["searched"] == answer["total"] <= ORDERS, "the end is reached"
    assert answer["whole"] is True
    assert "next" not in answer


def test_pages_of_a_query(server: LiveServer) -> None:
    found: list[int] = []
    page: dict[str, str] = {}
    while True:
        answer = get(server, q="banktimeout", limit=4, **page).json()
        assert len(answer["tasks"]) <= 4
        found += numbers(answer["tasks"])
        if "next" not in answer:
            break
        page = {"page": answer["next"]}
    assert found == list(range(27, -1, -3))


def test_order_by_runtime(server: LiveServer) -> None:
    first = get(server, q="charge", sort="-runtime", limit=3).json()
    assert numbers(first["tasks"]) == [29, 28, 26]
    second = get(server, q="charge", sort="-runtime", limit=3, page=first["next"])
    assert numbers(second.json()["tasks"]) == [25, 23, 22]
    assert first["whole"] is True
    assert numbers(
        get(server, q="succeeded", sort="runtime", limit=2).json()["tasks"]
    ) == [1, 2]


def test_stream_tells_how_far_it_has_come(server: LiveServer) -> None:
    answer = get(server, q="banktimeout", stream="1")
    assert answer.headers["content-type"] == "application/x-ndjson"
    *steps, last = [json.loads(line) for line in answer.text.splitlines()]
    assert [n for step in steps for n in numbers(step["tasks"])] == [*range(27, -1, -3)]
    assert steps[-1]["searched"] == steps[-1]["total"] == ORDERS
    assert last == {"done": True}


def test_mistake_is_a_sentence_with_its_position(server: LiveServer) -> None:
    answer = get(server, q="x stat:FAILURE")
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["detail"].startswith("unknown key 'stat' at character 3")
    assert (problem["position"], problem["suggestion"]) == (2, "state:FAILURE")
    for wrong in ({"sort": "name"}, {"q": "x", "tz": "Moon"}, {"q": "x", "page": "y"}):
        assert get(server, **wrong).status_code == 400
        assert get(server, **wrong, stream="1").status_code == 400


def test_redacted_value_is_not_found(server: LiveServer) -> None:
    assert get(server, q="kwargs.token:*").json()["tasks"] == []


def test_export_of_a_query(server: LiveServer) -> None:
    answer = get(server, "tasks/export", q="banktimeout", columns="id,args,exception")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["id", "args", "exception"]
    assert len(rows) == 1 + ORDERS // 3
    part = get(server, "tasks/export", q="banktimeout", format="ndjson", limit=2)
    trailer = json.loads(part.text.splitlines()[-1])["export"]
    assert (trailer["exported"], trailer["whole"]) == (2, False)
    audit = get(server, "audit").json()
    assert "export" in json.dumps(audit)


def test_export_refuses_what_it_cannot_do(server: LiveServer) -> None:
    for wrong in (
        {"format": "xls"}, {"columns": "zzz"}, {"sort": "runtime"}, {"limit": "0"},
        {"q": "stat:x"},
    ):  # fmt: skip
        answer = get(server, "tasks/export", **wrong)
        assert answer.status_code == 400, wrong
        assert answer.json()["detail"]


async def test_query_of_the_python_client(server: LiveServer) -> None:
    async with Herald(server.url, TOKEN) as herald:
        pages: list[TaskList] = []
        found = [
            task.id
            async for task in herald.tasks(
                query="banktimeout", limit=3, progress=pages.append
            )
        ]
        assert found == [f"{n:08x}-order" for n in (27, 24, 21)]
        assert pages[0].searched > 0
        pieces = [piece async for piece in herald.export("12307", columns=["id"])]
        assert b"".join(pieces).decode().split() == ["id", "00000007-order"]


async def test_query_of_an_agent(server: LiveServer) -> None:
    async with Client(f"{server.url}mcp", auth=TOKEN) as agent:
        answer = await agent.call_tool(
            "list_tasks", {"query": "charge", "sort": "-runtime", "limit": 1}
        )
        found = answer.structured_content or {}
        assert found["tasks"][0]["runtime"] == 29.0
        assert found["searched"] == ORDERS


def test_query_of_the_command_line(server: LiveServer) -> None:
    run = runner_at(server.url)
    table = run("tasks", "12307", "--columns", "id,kwargs")
    assert table.exit_code == 0
    assert "KWARGS" in table.stdout
    assert "12307" in table.stdout
    exported = run("tasks", "banktimeout", "--csv", "--columns", "id")
    assert exported.exit_code == 0, exported.stderr
    assert len(exported.stdout.split()) == 1 + ORDERS // 3
    line = run("tasks", "12307", "--json", "--columns", "id,wait").stdout
    assert json.loads(line)["id"] == "00000007-order"
    wrong = run("tasks", "stat:FAILURE")
    assert wrong.exit_code == 1
    assert "did you mean state:FAILURE" in wrong.stderr
    assert run("tasks", "--csv", "--sort", "runtime").exit_code == 2


@pytest.mark.parametrize(
    ("query", "texts", "replaces"),
    [
        ("failed name:ord", ["orders.charge"], [12, 15]),
        ("worker:", ["celery@one"], [7, 7]),
        ("state:fail", ["FAILURE", "failed", "failing", "failures"], [6, 10]),
        ("kwargs.order_id:1230", None, [16, 20]),
        ("failed kwargs.order_id:1232", ["12327", "12324", "12321"], [23, 27]),
        ("kwargs.token:", [], None),
    ],
)
def test_suggestions_for_a_query(
    server: LiveServer, query: str, texts: list[str] | None, replaces: list[int] | None
) -> None:
    found = get(server, "tasks/suggest", q=query).json()["suggestions"]
    assert texts is None or [one["text"] for one in found] == texts
    assert {tuple(one["replaces"]) for one in found} == (
        {tuple(replaces)} if replaces else set()
    )
    assert len(found) <= 10


@pytest.mark.parametrize(
    "wrong", [{"q": "x" * 2_001}, {"q": "x", "limit": 51}, {"query": "x"}]
)
def test_suggestions_that_cannot_be_asked_for(
    server: LiveServer, wrong: dict[str, str]
) -> None:
    answer = get(server, "tasks/suggest", **wrong)
    assert answer.status_code == 400
    assert answer.json()["detail"]
