"""Alerts as programs and people see them: REST, topic, MCP, command line, page."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from herald_client import Herald, Put
from herald_core.errors import InvalidInput
from herald_core.store.memory.store import MemoryStore
from herald_server.alerts.apprise_sender import check_receivers
from herald_server.alerts.receivers import AlertReceiver
from tests.support.alerts.problems import RULES, AlertProblems
from tests.support.alerts.receiver import AlertReceiver as Inbox
from tests.support.alerts.receiver import receiving_alerts
from tests.support.clients.http import asking, refused
from tests.support.herald.server import Server, let_in, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ALERTS = "/api/v1/alerts"


@asynccontextmanager
async def run_alerts(
    folder: Path, extra: str = ""
) -> AsyncGenerator[tuple[Server, AlertProblems]]:
    """Serve over a store in memory that a monitor writes to."""
    path = folder / "herald.toml"
    path.write_text(RULES + extra)
    store = MemoryStore()
    problems = AlertProblems(store)
    async with problems.monitored(), serving("", store=store, catalog=path) as server:
        yield server, problems


def make_receiver(inbox: Inbox) -> str:
    return f'[alerts.receivers.ops]\nurl = "json://127.0.0.1:{inbox.port}/"\n'


async def test_a_problem_is_listed_while_it_fires(tmp_path: Path) -> None:
    async with (
        run_alerts(tmp_path) as (server, problems),
        Herald(server.url, TOKEN) as herald,
    ):
        await problems.begin_silence()
        await problems.wait_for("firing", frozenset(["worker_silent"]))
        found = await herald.alerts()
        assert (found.firing, found.receivers) == (1, [])
        assert found.alerts[0]["subject"] == "w9@h"
        await server.store.delete_worker("w9@h", now=9e9)
        await problems.wait_for("resolved", frozenset(["worker_silent"]))


async def test_the_topic_has_what_happened(tmp_path: Path) -> None:
    async with (
        run_alerts(tmp_path) as (server, problems),
        Herald(server.url, TOKEN) as herald,
    ):
        await problems.begin_queue()
        async for change in herald.watch(topic="alerts"):
            if isinstance(change, Put) and change.image["rule"] == "queue_unconsumed":
                assert change.image["title"] == "Queue reports has no consumer"
                break


async def test_a_silence_holds_back_what_fires(tmp_path: Path) -> None:
    with receiving_alerts() as inbox:
        async with (
            run_alerts(tmp_path, make_receiver(inbox)) as (server, problems),
            Herald(server.url, TOKEN) as herald,
        ):
            made = await herald.silence_alerts("1h", "worker_*", comment="x")
            await problems.begin_silence()
            await problems.begin_queue()
            await problems.wait_for(
                "firing", frozenset(["worker_silent", "queue_unconsumed"])
            )
            await wait_until_async(lambda: inbox.messages)
            assert "w9@h" not in str(inbox.messages)
            found = await herald.alerts()
            assert [one.id for one in found.silences] == [made.id]
            silenced = [one for one in found.alerts if one.get("silenced_until")]
            assert [one["silenced_by"] for one in silenced] == ["owner"]
            await herald.delete_silence(made.id)
            await wait_until_async(lambda: "w9@h" in str(inbox.messages))


async def test_a_test_reaches_every_receiver(tmp_path: Path) -> None:
    with receiving_alerts() as inbox:
        async with (
            run_alerts(tmp_path, make_receiver(inbox)) as (server, _),
            Herald(server.url, TOKEN) as herald,
        ):
            done = await herald.test_alerts()
            assert done.results == [{"receiver": "ops", "error": ""}]
            assert [one["message"] for one in inbox.messages] == ["sent by owner"]
            inbox.status = 500
            done = await herald.test_alerts("ops")
            assert done.message == "Not reached: ops."


async def test_what_a_receiver_refuses_is_sent_again(tmp_path: Path) -> None:
    with receiving_alerts() as inbox:
        inbox.status = 500
        async with (
            run_alerts(tmp_path, make_receiver(inbox)) as (server, problems),
            Herald(server.url, TOKEN) as herald,
        ):
            await problems.begin_silence()

            async def read_outcome() -> object:
                alerts = (await herald.alerts()).alerts
                return alerts[0].get("sent") if alerts else None

            refusal = {"ops": "the service did not accept it"}
            await wait_until_async(read_outcome, accept=lambda sent: sent == refusal)
            inbox.status = 200
            sent = {"ops": "sent"}
            await wait_until_async(read_outcome, accept=lambda found: found == sent)
            assert len(inbox.messages) == 2


async def test_requests_that_make_no_sense_get_a_sentence(tmp_path: Path) -> None:
    async with run_alerts(tmp_path) as (server, _), asking(server) as ask:
        silences = f"{ALERTS}/silences"
        refused(await ask.post(silences, json={}), 400, "name what to silence")
        body = {"rule": "gap", "for": "soon"}
        refused(await ask.post(silences, json=body), 400, "for must be a duration")
        refused(await ask.delete(f"{silences}/si_none"), 404, "there is no silence")
        body = {"receiver": "ops"}
        refused(
            await ask.post(f"{ALERTS}/test", json=body), 400, "there is no receiver"
        )
        let_in(server, "read-only-token", scopes=frozenset(["read"]))
        headers = {"Authorization": "Bearer read-only-token"}
        answer = await ask.post(silences, json={"rule": "gap"}, headers=headers)
        refused(answer, 403, "this token lacks the scope admin")


def test_a_url_that_apprise_does_not_know_gets_a_sentence() -> None:
    receiver = AlertReceiver(name="ops", urls=("nosuch://secret",))
    with pytest.raises(InvalidInput, match=r"receivers\.ops\] URL 1, nosuch://…"):
        check_receivers([receiver])


async def test_a_dead_man_is_told_while_events_are_received(tmp_path: Path) -> None:
    with receiving_alerts() as inbox:
        url = f"http://127.0.0.1:{inbox.port}/ping"
        text = RULES.replace("[alerts]", f'[alerts]\nheartbeat_url = "{url}"', 1)
        path = tmp_path / "herald.toml"
        path.write_text(text)
        store = MemoryStore()
        async with (
            serving("", store=store, catalog=path),
            AlertProblems(store).monitored(),
        ):
            await wait_until_async(lambda: inbox.heartbeats)
