"""A large chord of real tasks, while it runs and at its end: one number at every door.

`done` is told of what is known whole only, and the page stays responsive all the while.
"""

import asyncio
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import httpx2
import pytest
from playwright.sync_api import Page, expect

from herald_core.system.subprocesses import kill_group, spawn
from tests.support.browser.main_thread import TRACED, longest_tasks
from tests.support.celery.default_project import Stranger
from tests.support.clients.mcp_json import Wire
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until

pytestmark = pytest.mark.browser

LONG = [pytest.mark.soak, pytest.mark.timeout(600)]

LONGEST_TASK_MS = 200
"""Milliseconds of processor time that the page's main thread may take at once."""

Numbers = tuple[int, int, bool, bool]
"""Members, how many have ended, whether all members are known, whether it is done."""


class Doors:
    """What is told of one group, by each way to ask."""

    def __init__(self, herald: HeraldProcess, group_id: str) -> None:
        self._herald = herald
        self._id = group_id
        self._aside = ThreadPoolExecutor(1)  # Playwright's loop runs in this thread

    def rest(self) -> Numbers | None:
        """Return what the group's own address answers; None while nobody knows it."""
        try:
            told = self._herald.get(f"api/v1/groups/{self._id}?tasks=0")
        except OSError:
            return None
        return _numbers(told)

    def listed(self) -> Numbers:
        """Return what the list of groups tells."""
        groups = self._herald.get("api/v1/groups")["groups"]
        [told] = [one for one in groups if one["group_id"] == self._id]
        return _numbers(told)

    def mcp(self) -> Numbers:
        """Return what the tool answers."""
        told = self._aside.submit(asyncio.run, self._ask_tool()).result(30)
        return _numbers(told)

    async def _ask_tool(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            call = Wire(http, f"{self._herald.url}mcp")
            asked = {"name": "get_group_status", "arguments": {"group_id": self._id}}
            answer = await call("tools/call", **asked)
        return cast("dict[str, Any]", answer["result"]["structuredContent"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A project whose results tell the group of a task (`result_extended`)."""
    with private_valkey() as server:
        place = tmp_path_factory.mktemp("chords")
        backend = server.url.rpartition("/")[0] + "/3"
        project = Stranger(place, server.url, backend, "prefork")
        with (place / "shop.py").open("a") as more:
            more.write("app.conf.result_extended = True\n")
        project.start_worker(2)
        yield project
        project.stop()


@pytest.fixture(scope="module")
def herald(shop: Stranger) -> Iterator[HeraldProcess]:
    """`herald up` beside the project, with its result backend."""
    urls = "--broker", shop.env["SHOP_BROKER"], "--backend", shop.env["SHOP_BACKEND"]
    up = HeraldProcess(shop.place / "up.log", "up", *urls)
    up.start()
    yield up
    up.stop()


@pytest.mark.parametrize("size", [60, pytest.param(5_000, marks=LONG, id="5000")])
def test_a_large_chord_has_one_number_at_every_door(
    tab: Page, shop: Stranger, herald: HeraldProcess, size: int
) -> None:
    browser = tab.context.browser
    assert browser is not None
    with _sent(shop, size):
        group_id = _first_group(herald)
        doors = Doors(herald, group_id)
        tab.goto(f"{herald.url}#/group/{group_id}?token={TOKEN}")
        expect(tab.locator("#connection")).to_have_text("Live")
        browser.start_tracing(page=tab, categories=TRACED)
        told = _followed(doors, tab, size)
    assert told[-1] == (size, size, True, True)
    assert doors.listed() == doors.mcp() == told[-1]
    tab.wait_for_function(
        "n => document.querySelector('.tiles .unit').textContent === `${n} of ${n}`",
        arg=f"{size:,}",
    )
    wall, own = longest_tasks(browser.stop_tracing())
    print(f"{len(told)} answers; longest tasks of the page: {wall} ms, {own} ms of CPU")
    assert own[-1] < LONGEST_TASK_MS


@contextmanager
def _sent(shop: Stranger, size: int) -> Generator[None]:
    """Send a chord of `size` tasks from a process of its own, which ends by itself."""
    send = f"chord(pay.s(n) for n in range({size}))(pay.s())"
    code = f"from celery import chord; from shop import pay; {send}"
    log = shop.place / "send.log"
    env = {**shop.env, "PYTHONPATH": str(shop.place)}
    process = spawn([sys.executable, "-c", code], log, env=env)
    try:
        yield
        assert process.wait(30) == 0, log.read_text()
    finally:
        kill_group(process)


def _numbers(told: dict[str, Any]) -> Numbers:
    return told["total"], told["finished"], told["whole"], told["done"]


def _first_group(herald: HeraldProcess) -> str:
    found: list[str] = []

    def known() -> bool:
        found[:] = [g["group_id"] for g in herald.get("api/v1/groups")["groups"]]
        return bool(found)

    wait_until(known, 30)
    return found[0]


def _followed(doors: Doors, tab: Page, size: int) -> list[Numbers]:
    """Ask at every door until the group is done; return what was told, in order."""
    told: list[Numbers] = []
    while not told or not told[-1][3]:
        first = doors.rest()
        assert first is not None
        others = [doors.listed(), doors.mcp()]
        last = doors.rest()
        assert last is not None
        for other in others:
            assert first[1] <= other[1] <= last[1]
            assert first[0] <= other[0] <= last[0]
        told += [first, *others, last]
        assert all(_is_honest(one, size) for one in told[-4:]), told[-4:]
        tab.wait_for_timeout(200)
    return told


def _is_honest(told: Numbers, size: int) -> bool:
    total, over, whole, done = told
    exact = total == size if whole else total <= size
    return exact and over <= total and done == (whole and over == size)
