"""A person is asked where they can be, by any process, and about exactly what runs."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from celery import Celery
from fastmcp import Client

from herald_core.store.memory.store import MemoryStore
from herald_server.auth.identity import Identity
from herald_server.control.start.consent import PERSON
from tests.support.celery.worker import AppFactory
from tests.support.clients.mcp_json import Wire
from tests.support.herald.mcp_environment import House, call, house, over_http, refused
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

CRISIS = "resilience_crisis_activation"
NAME = "app.resilience.tasks.activate_crisis_response"
START: dict[str, Any] = {
    "task_type": CRISIS,
    "params": {"severity": "minor", "reason": "flood"},
}
FORM: dict[str, Any] = {"elicitation": {"form": {}}}
ADMIN = {"admin": Identity("admin")}


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The era that the client speaks."""
    return str(request.param)


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker."""
    return project_app(module_valkey.url)


class Person:
    """Answers each question with yes, and remembers it."""

    def __init__(self, mode: str) -> None:
        self.asked: list[str] = []
        self._yes = {"confirm": True} if mode == "auto" else {"value": True}

    async def __call__(self, message: str, *_: Any) -> dict[str, bool]:
        self.asked.append(message)
        return self._yes


async def _failed(made: House, task_id: str) -> None:
    about = {"name": NAME, "args": "()", "kwargs": str(START["params"])}
    await made.tell("received", task_id, **about, retries=0)
    await made.tell("failed", task_id, exception="ValueError('no')")


async def test_a_retry_shows_what_will_run(mode: str, app: Celery) -> None:
    person = Person(mode)
    async with (
        house(app) as made,
        Client(made.door, mode=mode, elicitation_handler=person) as client,
    ):
        await _failed(made, "t1")
        await call(client, "retry_task", task_id="t1")
        grave = {"severity": "CRITICAL", "reason": "x"}
        await call(client, "retry_task", task_id="t1", kwargs=grave, queue=None)
    assert "again (severity='minor', reason='flood'" in person.asked[0]
    assert "again (severity='CRITICAL', reason='x'" in person.asked[1]


async def test_the_word_of_a_client_is_not_enough_where_a_person_must_agree(
    mode: str, app: Celery
) -> None:
    person = Person(mode)
    async with house(app) as made:
        assert made.shared.control is not None
        made.shared.control.consents.policy = PERSON
        async with Client(made.door, mode=mode) as client:
            await _failed(made, "t1")
            for tool, arguments in (
                ("start_background_task", START),
                ("retry_task", {"task_id": "t1"}),
            ):
                said = await refused(client, tool, **arguments, confirm=True)
                assert "HERALD_CONFIRM=person" in said
        async with Client(made.door, mode=mode, elicitation_handler=person) as client:
            told = await call(client, "start_background_task", **START)
    assert (told["status"], len(person.asked)) == ("queued", 1)


async def test_an_older_client_of_several_processes_does_not_pass_for_a_person(
    app: Celery,
) -> None:
    person = Person("legacy")
    async with (
        house(app) as made,
        over_http(made, ADMIN, stateless=True) as url,
        Client(url, auth="admin", mode="legacy", elicitation_handler=person) as client,
    ):
        said = await refused(client, "start_background_task", **START, confirm=True)
        assert await made.store.count_by_state() == {}
    assert "several server processes cannot ask one" in said


async def test_an_answer_counts_at_every_process_of_the_store(app: Celery) -> None:
    store = MemoryStore()
    agreed = {"confirm": {"action": "accept", "content": {"confirm": True}}}
    tool: dict[str, Any] = {"name": "start_background_task", "arguments": START}
    async with house(app, store) as made, house(app, store) as second:
        assert second.shared.control is not None
        await second.shared.control.consents.load_key()
        async with (
            over_http(made, ADMIN, stateless=True) as first,
            over_http(second, ADMIN, stateless=True) as last,
            httpx2.AsyncClient(headers={"Authorization": "Bearer admin"}) as http,
        ):
            one, other = (Wire(http, url, **FORM) for url in (first, last))
            asked = (await one("tools/call", **tool))["result"]
            state = {"requestState": asked["requestState"], "inputResponses": agreed}
            begun = await other("tools/call", **tool, **state)
            again = await one("tools/call", **tool, **state)
    assert begun["result"]["structuredContent"]["status"] == "queued"
    assert again["result"]["resultType"] == "input_required"
