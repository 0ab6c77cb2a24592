"""The AsyncAPI document, held against frames that are really exchanged."""

import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, cast

import httpx2
import pytest

from herald_core.model.gaps import Gap
from herald_server.push.connection.sender import Timeouts
from herald_server.push.protocol.asyncapi import build_document
from tests.support.clients.websocket import connected
from tests.support.herald.memory_server import worker_of
from tests.support.herald.server import serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

# It has no types of its own.
Validator: Any = import_module("jsonschema").Draft202012Validator


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


def strict(schemas: dict[str, Any]) -> dict[str, Any]:
    """Allow only what is documented, so that nothing is sent in secret."""
    closed: dict[str, Any] = json.loads(json.dumps(schemas))
    for schema in closed.values():
        schema.setdefault("additionalProperties", False)
    return closed


def complaints(kind: str, frame: dict[str, Any]) -> list[str]:
    """Return what is wrong with `frame` as a message called `kind`."""
    whole = build_document()
    schemas = strict(whole["components"]["schemas"])
    ref = whole["components"]["messages"][kind]["payload"]["$ref"]
    schema = {"$ref": ref, "components": {"schemas": schemas}}
    return [error.message for error in Validator(schema).iter_errors(frame)]


def kind_of(frame: dict[str, Any]) -> str:
    """Return what the document calls frames of this type."""
    messages: dict[str, Any] = build_document()["components"]["messages"]
    return next(k for k, m in messages.items() if m["name"] == frame["type"])


async def test_every_frame_that_is_sent_is_documented(url: str) -> None:
    hour = "2026-01-31T12"
    gap = Gap(id="g", since=f"{hour}:00:00Z", until=f"{hour}:00:01Z", reason="a test")
    patience = Timeouts(heartbeat=0.1)
    async with (
        serving(url, patience=patience) as server,
        connected(server) as client,
    ):
        await server.tell("received", "a", "b", name="n", args="()", queue="q")
        await server.store.open_gap(gap)
        await server.beat(lag_ms=7)
        await server.store.store([], [worker_of("w1@h", active=1)], now=1.0)
        wishes: list[dict[str, Any]] = [
            {"id": "tasks", "filter": {"name": ["n"], "state": "RECEIVED"}},
            {"id": "some", "fields": ["state"], "limit": 1, "mode": "events"},
            {"id": "one", "filter": {"ids": ["a"]}, "topic": "tasks"},
            {"id": "workers", "topic": "workers"},
            {"id": "counts", "topic": "counts"},
            {"id": "past", "since": "1700000000000-3"},
        ]
        for wish in wishes:
            said = {"type": "subscribe", **wish}
            assert complaints("Subscribe", said) == []
            await client.say(**said)
        await client.say(type="subscribe", id="bad", filter={"stat": "x"})
        await client.say(type="ping")
        await client.say(type="auth", token=TOKEN)
        await client.say(type="unsubscribe", id="some")
        await wait_until_async(lambda: len({f["id"] for f in client.of("data")}) >= 5)
        await server.tell("succeeded", "a", runtime=0.1)
        await server.tell("failed", "b", exception="E()", traceback="at")
        for type_ in ("hello", "status", "cursor", "done", "error", "pong"):
            await client.heard(type_)
        await server.app.state.sockets.announce_restart(1.0)
        await client.heard("bye")
        told = {frame["type"] for frame in client.frames}
        messages = build_document()["components"]["messages"].values()
        said_only = {"subscribe", "unsubscribe", "auth", "ping"}
        assert told == {m["name"] for m in messages} - said_only
        for frame in client.frames:
            assert complaints(kind_of(frame), frame) == [], frame


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        ("Subscribe", {"type": "subscribe"}),
        ("Subscribe", {"type": "subscribe", "id": ""}),
        ("Subscribe", {"type": "subscribe", "id": "a", "filter": {"stat": "x"}}),
        ("Subscribe", {"type": "subscribe", "id": "a", "topic": "task"}),
        ("Subscribe", {"type": "subscribe", "id": "a", "since": "yesterday"}),
        ("Data", {"type": "data", "id": "a", "put": [{"state": "SUCCESS"}]}),
        ("Data", {"type": "data", "id": "a", "put": [{"id": "a", "stat": "x"}]}),
        ("Data", {"type": "data", "id": "a", "put": [], "reset": "because"}),
        ("Status", {"type": "status", "stale": "yes", "gaps": []}),
    ],
)
def test_the_schemas_tell_wrong_frames_from_right_ones(
    kind: str, frame: dict[str, Any]
) -> None:
    assert complaints(kind, frame)


async def test_it_is_served_to_everybody_and_names_the_server(url: str) -> None:
    async with serving(url) as server, httpx2.AsyncClient() as http:
        answer = await http.get(f"{server.url}asyncapi.json")
        assert answer.status_code == 200
        whole = answer.json()
        assert whole["asyncapi"] == "3.0.0"
        here = whole["servers"]["here"]
        assert f"{here['protocol']}://{here['host']}/ws" == server.ws
        assert whole["channels"]["herald"]["address"] == "/ws"
        assert whole["components"] == json.loads(
            json.dumps(build_document()["components"])
        )


def test_every_reference_leads_somewhere() -> None:
    whole = build_document()
    for ref in _references(whole):
        at: Any = whole
        for part in ref.removeprefix("#/").split("/"):
            at = at[part]
        assert at


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in cast("dict[str, object]", part).items():
            if key == "$ref":
                yield str(value)
            else:
                yield from _references(value)
    elif isinstance(part, list | tuple):
        for one in cast("Iterable[object]", part):
            yield from _references(one)
