"""Starts that the broker did not take: told at once, and nothing is left behind."""

import time
from collections.abc import AsyncGenerator

import pytest

from herald_core.errors import HeraldError
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_server.control.control import BrokerUnreachable, Control
from tests.support.celery.worker import AppFactory
from tests.support.herald.mcp_environment import House, house
from tests.support.herald.monitored_server import ALL, control_of
from tests.support.servers.redis import PrivateValkey

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("not_sent")]

ITEMS = [("shop.pay", {"x": n}) for n in range(5)]
AWAY = ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"]


@pytest.fixture(params=AWAY)
async def away(
    request: pytest.FixtureRequest, project_app: AppFactory
) -> AsyncGenerator[House, None]:
    """A house whose broker and result backend are both away."""
    app = project_app(request.param, "redis://127.0.0.1:1/1")
    async with house(app, catalog=ALL) as made:
        yield made


async def start(control: Control, what: str) -> None:
    """Start something of the kind `what`."""
    if what == "group":
        await control.start_group(ITEMS)
    elif what == "chain":
        await control.start_chain(ITEMS)
    elif what == "retry":
        await control.retry("old", {"x": 1})
    else:
        await control.start("shop.pay", {"x": 1}, key="k" if what == "key" else None)


@pytest.mark.parametrize("what", ["task", "key", "group", "chain", "retry"])
async def test_what_could_not_be_sent_is_withdrawn(away: House, what: str) -> None:
    control, began = control_of(away), time.monotonic()
    if what == "retry":
        await away.tell("received", "old", name="shop.pay", retries=0)
        await away.tell("failed", "old", exception="E()")
    with pytest.raises(BrokerUnreachable, match="cannot be reached"):
        await start(control, what)
    assert time.monotonic() - began < 25
    left = [task.id for task in (await away.store.list_tasks(Filter())).tasks]
    assert left == (["old"] if what == "retry" else [])
    assert not await away.store.get_items("start")


async def test_a_backend_that_is_away_stops_no_start(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url, "redis://127.0.0.1:1/1")
    async with house(app, catalog=ALL) as made:
        control, began = control_of(made), time.monotonic()
        started = await control.start("shop.pay", {"x": 1})
        group = await control.start_group(ITEMS)
        states = [
            (await made.store.get_task(one.task_id)).state
            for one in (started, *group.tasks)
        ]
    assert states == ["PENDING"] * 6
    assert time.monotonic() - began < 25


async def test_a_message_that_is_refused_leaves_nothing(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url)
    with module_valkey.client() as client:
        client.config_set("maxmemory", "1")
        try:
            async with house(app, catalog=ALL) as made:
                with pytest.raises(HeraldError, match="nothing was sent"):
                    await control_of(made).start("shop.pay", {"x": 1})
                assert not (await made.store.list_tasks(Filter())).tasks
        finally:
            client.config_set("maxmemory", "0")


async def test_what_was_heard_of_meanwhile_is_not_withdrawn(away: House) -> None:
    await away.store.store(
        [
            Event(kind="sent", task_id="a", at=1.0, source="submitted", retries=0),
            Event(kind="sent", task_id="b", at=1.0, source="submitted", retries=0),
            Event(kind="received", task_id="b", at=2.0, host="h", retries=0),
        ],
        now=2.0,
    )
    assert await away.store.withdraw(["a", "b", "c"]) == 1
    states = [(await away.store.get_task(id_)).state for id_ in ("a", "b", "c")]
    assert states == ["UNKNOWN", "RECEIVED", "UNKNOWN"]
