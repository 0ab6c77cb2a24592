"""A filter that cannot be is answered with the same sentence at every door."""

import json
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import urlencode

import anyio
import click
import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from websockets.sync.client import connect

from herald_client import Herald
from herald_core.errors import InvalidFilter
from herald_core.model.filters import KEYS
from herald_server.cli.client_options import FILTER_OPTIONS
from tests.support.herald.command_line import runner_at
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server

BEARER = {"Authorization": f"Bearer {TOKEN}"}
Door = Callable[[LiveServer, dict[str, Any]], str]

UNKNOWN = "unknown key 'stat'; did you mean 'state'?"
STATE = "unknown state 'FAILUER'; did you mean 'FAILURE'?"
NOWHERE = "unknown key 'zzz'; keys are ids, name, state, worker, queue, root, parent"
LONG = "a value of name is over 512 characters"

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stat": "FAILURE"}, UNKNOWN),
    ({"zzz": "x"}, NOWHERE),
    ({"state": "FAILUER"}, STATE),
    ({"name": "x" * 513}, LONG),
]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as server:
        yield server


def websocket(server: LiveServer, wrong: dict[str, Any]) -> str:
    ws = f"ws{server.url.removeprefix('http')}ws"
    with connect(ws, additional_headers=BEARER, proxy=None) as socket:
        socket.send(json.dumps({"type": "subscribe", "id": "s", "filter": wrong}))
        while (frame := json.loads(socket.recv(10)))["type"] != "error":
            pass
    assert (frame["code"], frame["id"]) == ("bad_filter", "s")
    return str(frame["message"])


def _problem(server: LiveServer, path: str, wrong: dict[str, Any]) -> str:
    url = f"{server.url}{path}?{urlencode(wrong)}"
    answer = httpx2.get(url, headers=BEARER)
    assert answer.status_code == 400
    return str(answer.json()["detail"])


def event_stream(server: LiveServer, wrong: dict[str, Any]) -> str:
    return _problem(server, "events", wrong)


def rest(server: LiveServer, wrong: dict[str, Any]) -> str:
    return _problem(server, "api/v1/tasks", wrong)


def webhook(server: LiveServer, wrong: dict[str, Any]) -> str:
    body = {"url": "https://192.0.2.1/hook", "filter": wrong}
    answer = httpx2.post(f"{server.url}api/v1/webhooks", headers=BEARER, json=body)
    assert answer.status_code == 400
    return str(answer.json()["detail"])


def mcp(server: LiveServer, wrong: dict[str, Any]) -> str:
    async def ask() -> str:
        transport = StreamableHttpTransport(f"{server.url}mcp", headers=BEARER)
        async with Client[Any](transport) as client:
            with pytest.raises(ToolError) as refused:
                await client.call_tool("wait_for_changes", {"filter": wrong})
        return str(refused.value)

    return anyio.run(ask)


def python_client(server: LiveServer, wrong: dict[str, Any]) -> str:
    async def watch() -> str:
        async with Herald(server.url, token=TOKEN) as herald:
            with pytest.raises(InvalidFilter) as refused:
                await anext(cast(Any, herald.watch(**wrong)))
        return str(refused.value)

    return anyio.run(watch)


def shell(server: LiveServer, wrong: dict[str, Any]) -> str:
    words = [word for key, value in wrong.items() for word in (f"--{key}", value)]
    result = runner_at(server.url)("watch", *words)
    assert (result.exit_code in (1, 2), result.stdout) == (True, "")
    return result.stderr


DOORS: list[Door] = [websocket, event_stream, rest, webhook, mcp, python_client]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_every_door_says_the_same(server: LiveServer, door: Door) -> None:
    for wrong, said in WRONG:
        assert said in door(server, wrong), wrong


def test_the_shell_says_so_of_values_and_its_own_of_options(
    server: LiveServer,
) -> None:
    for wrong, said in WRONG[2:]:
        assert said in shell(server, wrong)
    assert "No such option '--stat'. (Did you mean one of: '--state'" in shell(
        server, WRONG[0][0]
    )


def test_the_shell_has_an_option_for_every_key() -> None:
    options = {name for add in FILTER_OPTIONS for name in _options(add)}
    assert options == {f"--{key}" for key in KEYS if key != "ids"}


def _options(add: Callable[[Any], Any]) -> list[str]:
    command = click.Command("c", callback=add(lambda: None))
    made = getattr(command.callback, "__click_params__", [])
    return [name for one in made for name in one.opts]
