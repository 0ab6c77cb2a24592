"""How WebSockets end, and what is refused on one that stays: codes and reasons."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.golden.comparison import compare
from tests.golden.product import Limits, Timeouts, close_codes
from tests.support.clients.route_requests import minted
from tests.support.golden.clients import WITHIN, websocket
from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio


async def _say(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))


def says(*messages: dict[str, Any]) -> Callable[[ClientConnection], Awaitable[None]]:
    """Return a client that sends `messages`."""
    return lambda socket: _say(socket, *messages)


async def end_of(
    server: Server,
    token: str | None = TOKEN,
    protocol: str = "herald.v1",
    then: Callable[[ClientConnection], Awaitable[None]] | None = None,
) -> dict[str, Any]:
    """Return the code and the reason with which a connection ends."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(
        server.ws,
        additional_headers=headers,
        subprotocols=[Subprotocol(protocol)],
        proxy=None,
    ) as socket:
        if then is not None:
            await then(socket)
        async with asyncio.timeout(WITHIN):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await socket.recv()
        return {"code": socket.close_code, "reason": socket.close_reason}


async def test_close_codes(module_valkey: PrivateValkey) -> None:
    url = module_valkey.url
    told: dict[str, Any] = {"all of them": close_codes()}
    patience, limits = Timeouts(auth=0.05), Limits(subscribes_per_s=0, subs=12)
    async with serving(url, patience=patience, limits=limits) as server:
        told["no token in time"] = await end_of(server, None)
        told["wrong token"] = await end_of(server, "wrong")
        only_start = minted(server, scopes=frozenset(["start"]))
        told["a token that may not read"] = await end_of(server, only_start)
        told["another subprotocol"] = await end_of(server, protocol="herald.v9")
        bad = [{"type": "shout"}] * 10
        told["ten bad messages"] = await end_of(server, then=says(*bad))
        many = [{"type": "subscribe", "id": "s"}] * 22
        told["too many subscribes"] = await end_of(server, then=says(*many))
        renewed = says({"type": "auth", "token": "wrong"})
        told["a wrong token later"] = await end_of(server, then=renewed)

        async def restart(_: ClientConnection) -> None:
            await server.app.state.sockets.announce_restart(1.0)

        told["restart"] = await end_of(server, then=restart)
    async with serving(url, max_connections=1) as server, websocket(server):
        told["as many connections as may be"] = await end_of(server)
    compare("close-codes.json", told)


REFUSED: dict[str, tuple[dict[str, Any], ...]] = {
    "too_big": ({"type": "subscribe", "id": "x" * 2_000},),
    "too_many": (
        {"type": "subscribe", "id": "a"},
        {"type": "subscribe", "id": "b"},
        {"type": "subscribe", "id": "c"},
    ),
    "too many ids": ({"type": "subscribe", "id": "a", "filter": {"ids": ["x", "y"]}},),
    "rate": ({"type": "subscribe", "id": "a"},) * 3,
}


async def test_errors_of_a_connection_that_stays(module_valkey: PrivateValkey) -> None:
    limits = Limits(subs=2, ids_per_sub=1, in_bytes=1_000, subscribes_per_s=0)
    told: dict[str, Any] = {}
    async with serving(module_valkey.url, limits=limits) as server:
        for name, messages in REFUSED.items():
            async with websocket(server) as client:
                for message in messages:
                    await client.say(**message)
                told[name] = await client.receive_until("error")
        await server.tell("received", "a", "b")
    async with serving(module_valkey.url, limits=Limits(snapshot=1)) as server:
        await server.tell("received", "a", "b")
        async with websocket(server) as client:
            await client.say(type="subscribe", id="all")
            told["too_broad"] = await client.receive_until("error")
    compare("errors.json", told)
