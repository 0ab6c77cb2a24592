"""Secrets planted everywhere are found nowhere: in no store, on no wire, in no log.

Through a real worker and a whole Herald at its most talkative.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from fastmcp import Client

from herald_core.model.events.redaction import Redactor
from herald_core.store.memory.store import MemoryStore
from herald_monitor.ingest.recordings.format import iter_messages
from herald_monitor.ingest.recordings.replay import ReplaySession
from herald_server.cli.main import cli
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings
from tests.support.celery.secrets_project import MARK, PASSWORD, Vault, all_of, secrets
from tests.support.clients.route_requests import Visitor, tries
from tests.support.clients.webhook_receiver import Receiver, receiving
from tests.support.clients.websocket import connected
from tests.support.environment import ROOT
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

RECORDING = ROOT / "tests" / "recordings" / "planted.events.jsonl"

ENDED = {"SUCCESS", "FAILURE"}
MASK = "[redacted]"


class Told:
    """All that Herald said, by where it said it."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def add(self, where: str, said: object) -> None:
        """Write down what was said."""
        text = said if isinstance(said, str) else json.dumps(said, default=str)
        self.texts[where] = self.texts.get(where, "") + text

    def finds(self) -> dict[str, list[str]]:
        """Return the secrets that were found, by where."""
        found = {w: sorted(set(_planted(t))) for w, t in self.texts.items()}
        return {where: secrets for where, secrets in found.items() if secrets}


def _planted(text: str) -> Iterable[str]:
    return re.findall(rf"{MARK}[\w-]+", text)


async def test_recorded_secrets_are_found_nowhere(
    module_valkey: PrivateValkey,
) -> None:
    """The short form: what such a worker said, told to a store as a monitor does."""
    told = Told()
    lines = RECORDING.read_bytes().splitlines()
    # 14 kinds of secrets, most of them of three tasks.
    assert len(set(_planted(RECORDING.read_text()))) > 30
    async with serving(module_valkey.url) as server, connected(server) as every:
        for mode in ("changes", "events"):
            await every.say(type="subscribe", id=mode, mode=mode)
        await every.heard("data", 2)
        replay = ReplaySession(server.store, Redactor())
        await replay.run(iter_messages(lines, RECORDING.name))
        assert replay.counters.poison == 2
        await server.beat(samples=tuple(replay.samples))
        await wait_until_async(
            lambda: len(_over(every.frames)) == 3, message="all have ended"
        )
        async with (
            httpx2.AsyncClient(trust_env=False) as http,
            Client(f"{server.url}mcp", auth=TOKEN) as agent,
        ):
            for id_ in _over(every.frames):
                await _asked(told, server, http, agent, id_)
        told.add("socket", every.frames)
        told.add("store", all_of(module_valkey.url))
    assert told.texts["store"].count(MASK) > 20
    assert told.texts["/api/v1/tasks"].count(MASK) > 20
    assert not told.finds()


@pytest.mark.soak
@pytest.mark.celery
async def test_planted_secrets_are_found_nowhere(
    tmp_path: Path, module_valkey: PrivateValkey
) -> None:
    told = Told()
    vault = Vault(tmp_path, module_valkey)
    with private_valkey() as store, vault.working():
        herald = HeraldProcess(
            tmp_path / "herald.log",
            *("up", "--log-level", "DEBUG", "--audit-log", str(tmp_path / "orders")),
            HERALD_BROKER_URL=vault.url,
            HERALD_RESULT_BACKEND=vault.url,
            HERALD_STORE_URL=store.url,
            HERALD_CATALOG=str(tmp_path / "herald.toml"),
            HERALD_WEBHOOKS_ALLOW="127.0.0.0/8",
        )
        herald.start()
        try:
            async with receiving() as receiver:
                await _live(told, vault, herald, receiver)
                told.add("webhooks", [one.body.decode() for one in receiver.requests])
                assert receiver.requests
            told.add("store", all_of(store.url))
        finally:
            herald.stop()
        told.add("log", herald.log.read_text())
        told.add("orders", (tmp_path / "orders").read_text())
        # What was planted is there to be found, and was heard of.
        assert len(set(_planted(all_of(module_valkey.url)))) > 20
        assert told.texts["store"].count(MASK) > 20
        assert told.texts["log"].count("Set an event aside") >= 2
    assert "start" in told.texts["orders"]
    assert not told.finds()


def _run(herald: HeraldProcess, *words: str) -> str:
    env = {"HERALD_URL": herald.url, "HERALD_TOKEN": TOKEN}
    return CliRunner(env=env).invoke(cli, words).output


async def _live(
    told: Told, vault: Vault, herald: HeraldProcess, receiver: Receiver
) -> None:
    ws = herald.url.replace("http", "ws", 1) + "ws"
    async with (
        httpx2.AsyncClient(
            base_url=herald.url,
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
            timeout=30,
        ) as http,
        Client(f"{herald.url}mcp", auth=TOKEN) as agent,
        connected(ws, TOKEN) as every,
        _stream(http) as stream,
    ):
        hook: dict[str, Any] = {"url": receiver.url, "filter": {}, "on": "updates"}
        made = await http.post("api/v1/webhooks", json=hook)
        assert made.status_code == 201, made.text
        for mode in ("changes", "events"):
            await every.say(type="subscribe", id=mode, mode=mode)
        ids = [vault.send(name, name) for name in ("keep", "lose", "again")]
        ids.append(await _ordered_over_http(http))
        ids.append(await _ordered_over_mcp(agent))
        vault.whisper()
        await wait_until_async(
            lambda: _over(every.frames) >= set(ids), 30, "all have ended"
        )
        for id_ in ids:
            await _asked(told, herald, http, agent, id_)
            for words in (("status", id_), ("tasks", "--json"), ("tasks",)):
                told.add(words[0], await asyncio.to_thread(_run, herald, *words))
        await wait_until_async(
            lambda: "Set an event aside" in herald.log.read_text(), 30
        )
        await wait_until_async(lambda: len(receiver.requests) > 4, 30, "webhooks")
        told.add("socket", every.frames)
        told.add("stream", "".join(stream))


def _over(frames: list[dict[str, Any]]) -> set[str]:
    shown = [one for frame in frames for one in frame.get("put", ())]
    return {one["id"] for one in shown if one.get("state") in ENDED}


async def _ordered_over_http(http: httpx2.AsyncClient) -> str:
    params = {k: secrets("rest")[k] for k in ("token", "url", "headers")}
    order = {"task_type": "keep", "params": params}
    answer = await http.post("api/v1/tasks", json=order)
    assert answer.status_code == 201, answer.text
    wrong = {"task_type": "keep", "params": {**params, "token": {"secret": f"{MARK}w"}}}
    assert (await http.post("api/v1/tasks", json=wrong)).status_code == 400
    return str(answer.json()["task_id"])


async def _ordered_over_mcp(agent: Client[Any]) -> str:
    params = {k: secrets("mcp")[k] for k in ("token", "url", "headers")}
    order = {"task_type": "keep", "params": params}
    done = await agent.call_tool("start_background_task", order)
    return str((done.structured_content or {})["task_id"])


async def _asked(
    told: Told, herald: Any, http: httpx2.AsyncClient, agent: Client[Any], id_: str
) -> None:
    """Ask every route, tool and resource about a task."""
    for one in tries(_routes(), id_):
        if one.method == "GET":
            said = await Visitor(herald, TOKEN).ask(http, one)
            told.add(one.path.replace(id_, "ID"), said[1])
    for tool in ("get_task_status", "get_task_history", "explain_task", "retry_task"):
        answer = await agent.call_tool(tool, {"task_id": id_}, raise_on_error=False)
        told.add(tool, str(answer))
    for tool in ("list_tasks", "wait_for_changes", "list_active_tasks"):
        told.add(tool, str(await agent.call_tool(tool, {}, raise_on_error=False)))
    told.add("task://", str(await agent.read_resource(f"task://{id_}")))
    told.add("failed", str(await agent.read_resource("tasks://failed")))
    told.add("prompt", str(await agent.get_prompt("summarise_run", {"task_id": id_})))


def _routes() -> Any:
    return create_app(ServerSettings(token=TOKEN), MemoryStore(), None)


@asynccontextmanager
async def _stream(http: httpx2.AsyncClient) -> AsyncGenerator[list[str]]:
    said: list[str] = []

    async def read() -> None:
        async with http.stream("GET", "events?mode=events") as answer:
            async for part in answer.aiter_text():
                said.append(part)

    reading = asyncio.create_task(read())
    try:
        yield said
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.soak
@pytest.mark.parametrize(
    "words",
    [
        ("server", "--store", f"redis://u:{PASSWORD}@127.0.0.1:1/0"),
        ("up", "--broker", f"redis://u:{PASSWORD}@127.0.0.1:1/0"),
        ("up", "--broker", f"amqp://u:{PASSWORD}@127.0.0.1:1//"),
    ],
    ids=["store", "broker", "amqp"],
)
def test_a_url_that_does_not_answer_is_said_without_its_password(
    words: tuple[str, ...], module_valkey: PrivateValkey
) -> None:
    env = {"HERALD_STORE_URL": module_valkey.url, "HERALD_TOKEN": TOKEN}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
    talk = ("--log-level", "DEBUG", "--port", "0", "--for", "1")
    done = subprocess.run(
        [sys.executable, "-m", "herald_server", "--debug", *words, *talk],
        env={**kept, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "127.0.0.1:1" in said
    assert MARK not in said
