"""Failures of real workers by cause, at every door."""

import contextlib
import json
import urllib.error
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from herald_client import Herald, Put
from tests.support.celery.default_project import Stranger
from tests.support.herald.command_line import runner_at
from tests.support.herald.process import TOKEN, HeraldProcess, get
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.timeout(240)]

TASKS = """

from billing.pay import charge, collect


@app.task
def direct(amount):
    return charge(amount)


@app.task
def helped(amount):
    return collect(amount)


@app.task
def look(key):
    return {}[key]


@app.task(bind=True, max_retries=1)
def again(self, amount):
    try:
        charge(amount)
    except Exception as error:
        raise self.retry(exc=error, countdown=0)
"""

PAY = """
class NoMoney(Exception):
    pass


def charge(amount):
    raise NoMoney(f"{amount} EUR")


def collect(amount):
    return charge(amount)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A project whose tasks fail in a module of its own, by two ways."""
    place = tmp_path_factory.mktemp("shop")
    with private_valkey() as server:
        backend = server.url.rpartition("/")[0] + "/3"
        project = Stranger(place, server.url, backend, "prefork")
        (place / "billing").mkdir()
        (place / "billing" / "__init__.py").touch()
        (place / "billing" / "pay.py").write_text(PAY)
        with (place / "shop.py").open("a") as file:
            file.write(TASKS)
        project.env |= {"HERALD_RELEASE": "v7"}
        project.start_worker(2, "-I", "herald_worker.auto")
        yield project
        project.stop()


@pytest.fixture(scope="module")
def herald(
    shop: Stranger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeraldProcess]:
    """Herald beside it, after seven attempts failed of two causes."""
    broker = shop.env["SHOP_BROKER"]
    up = HeraldProcess(
        tmp_path_factory.mktemp("up") / "up.log", "up", "--broker", broker
    )
    up.start()
    for name, amount in [("direct", 1), ("direct", 2), ("helped", 3), ("again", 4)]:
        cast(Any, shop.app).send_task(f"shop.{name}", (amount,))
    cast(Any, shop.app).send_task("shop.look", ("k",))
    wait_until(partial(_has_all, up), 60, "all failures are known")
    yield up
    up.stop()


def _has_all(up: HeraldProcess) -> bool:
    told = up.get("api/v1/failures")
    known = all("versions" in one for one in told["failures"])
    return known and (told["count"], told["retried"]) == (5, 1)


def find_cause(up: HeraldProcess) -> dict[str, Any]:
    first: dict[str, Any] = up.get("api/v1/failures")["failures"][0]
    return first


def test_two_ways_and_a_retry_are_one_cause(herald: HeraldProcess) -> None:
    told = herald.get("api/v1/failures?window=10m")
    first, second = told["failures"]
    assert first["exception"] == "billing.pay.NoMoney"
    assert first["frame"] == "billing/pay.py:charge"
    assert (first["count"], first["retried"], sum(first["series"])) == (4, 1, 5)
    assert first["names"] == {"shop.again": 2, "shop.direct": 2, "shop.helped": 1}
    assert first["versions"] == ["v7"]
    assert second["exception"] == "KeyError"
    assert second["frame"].endswith("/shop.py:look")


def test_its_tasks_are_listed_and_counted(herald: HeraldProcess) -> None:
    cause = find_cause(herald)["fingerprint"]
    tasks = herald.tasks(failure=cause).values()
    names = sorted(task["name"] for task in tasks)
    assert names == ["shop.again", "shop.direct", "shop.direct", "shop.helped"]
    assert herald.get(f"api/v1/failures/{cause}")["tasks"] == 4


def test_the_python_client_reads_and_watches_causes(herald: HeraldProcess) -> None:
    async def main() -> None:
        async with Herald(herald.url, TOKEN) as client:
            [first, *_] = (await client.failures(name="shop.*")).failures
            assert (first.frame, first.count) == ("billing/pay.py:charge", 4)
            assert (await client.failure(first.fingerprint)).tasks == 4
            watch = client.watch(topic="failures")
            async with contextlib.aclosing(watch):
                with anyio.fail_after(30):
                    async for change in watch:
                        if isinstance(change, Put) and change.image["id"] == first.id:
                            assert change.image["frame"] == first.frame
                            return

    anyio.run(main)


def test_the_command_line_lists_causes(herald: HeraldProcess) -> None:
    run = runner_at(herald.url)
    table = run("failures", HERALD_TOKEN=TOKEN)
    assert "billing/pay.py:charge" in table.output
    lines = run("failures", "--json", "--limit", "1", HERALD_TOKEN=TOKEN).stdout
    [first] = [json.loads(line) for line in lines.splitlines()]
    listed = run("tasks", "--failure", first["id"], HERALD_TOKEN=TOKEN)
    assert listed.stdout.count("NoMoney(") == 4


def test_an_agent_gets_causes_and_their_tasks(herald: HeraldProcess) -> None:
    async def main() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        to = StreamableHttpTransport(f"{herald.url}mcp", headers=headers)
        async with Client(to) as agent:
            told = await agent.call_tool("list_failures", {"window": "10m"})
            answer: Any = told.structured_content
            first = answer["failures"][0]
            assert first["exception"] == "billing.pay.NoMoney"
            wanted = {"failure": first["fingerprint"]}
            listed = await agent.call_tool("list_tasks", wanted)
            tasks: Any = listed.structured_content
            assert len(tasks["tasks"]) == 4

    anyio.run(main)


def test_a_narrow_token_sees_only_its_tasks_of_a_cause(herald: HeraldProcess) -> None:
    cause = find_cause(herald)["fingerprint"]
    only = {"scopes": ["read"], "only": {"name": "shop.helped"}}
    token = herald.post("api/v1/tokens", only)["token"]
    [task] = get(f"{herald.url}api/v1/tasks?failure={cause}", token)["tasks"]
    assert task["name"] == "shop.helped"
    for path in ("failures", f"failures/{cause}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{herald.url}api/v1/{path}", token)
        assert refused.value.code == 403
        refused.value.close()
