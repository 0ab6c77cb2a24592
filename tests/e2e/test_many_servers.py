"""Several server processes on one port."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from herald_core.errors import InvalidInput
from herald_core.store.redis.store import RedisStore
from herald_server.wiring.launcher import run_all
from herald_server.wiring.settings import make_settings
from tests.support import validators
from tests.support.celery.project import make_app
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.herald.server import Server
from tests.support.journal import Journal
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("many_servers")]


@pytest.fixture(scope="module")
def herald(
    module_valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> Generator[HeraldProcess]:
    """Two processes over one store."""
    log = tmp_path_factory.mktemp("many") / "herald.log"
    words = ("server", "--workers", "2", "--store", module_valkey.url)
    process = HeraldProcess(log, *words)
    process.start()
    yield process
    assert process.stop(), "it stops by itself"


async def resumed(herald: HeraldProcess, journal: Journal, wanted: str) -> str:
    """Connect once, go on with `journal` until it has `wanted`; return the node."""
    async with connect(
        f"ws{herald.url.removeprefix('http')}ws",
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
        subprotocols=[Subprotocol("herald.v1")],
        compression=None,
        proxy=None,
    ) as socket:
        wish = {"type": "subscribe", "id": "all", **journal.open()}
        await socket.send(json.dumps(wish))
        node = ""
        async with asyncio.timeout(30):
            while wanted not in journal.items or journal.cursor is None:
                frame = json.loads(await socket.recv())
                node = frame.get("node", node)
                if frame["type"] == "data":
                    journal.hear(frame, time.monotonic())
        socket.transport.abort()
        return node


async def test_a_client_is_cut_and_resumes_until_it_was_on_both(
    herald: HeraldProcess, module_valkey: PrivateValkey
) -> None:
    store = RedisStore(module_valkey.url)
    await store.open()
    server = Server(None, "", store)  # type: ignore[arg-type]
    journal = Journal("all")
    nodes: set[str] = set()
    try:
        await server.tell("received", "first")
        await resumed(herald, journal, "first")
        for lap in range(64):
            await server.tell("received", f"t{lap}")
            nodes.add(await resumed(herald, journal, f"t{lap}"))
            if len(nodes) == 2 and lap > 6:
                break
        assert len(nodes) == 2
        assert journal.items == await server.revs()
        validators.kept(journal)
        resets = [s for s in journal.steps if s.frame.get("reset")]
        assert len(resets) == 1, "each process goes on from the other's cursor"
    finally:
        await store.close()


def test_ready_is_said_once_and_the_address_once(herald: HeraldProcess) -> None:
    said = herald.log.read_text()
    assert len(re.findall(r"^ready http://127\.0\.0\.1:\d+/$", said, re.M)) == 1


async def test_mcp_needs_no_session_that_only_one_of_them_knows(
    herald: HeraldProcess,
) -> None:
    from fastmcp import Client
    from fastmcp.client.transports import StreamableHttpTransport

    transport = StreamableHttpTransport(
        f"{herald.url}mcp", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    for _ in range(4):
        async with Client(transport) as client:
            answer: Any = await client.call_tool("list_active_tasks", {})
            assert answer.data is not None


def test_a_process_that_dies_is_started_again(herald: HeraldProcess) -> None:
    nodes = {herald.get("api/v1/health")["node"] for _ in range(40)}
    pid = int(next(iter(nodes)).rpartition("-")[2])
    os.kill(pid, 9)

    def two_again() -> bool:
        try:
            now = {herald.get("api/v1/health")["node"] for _ in range(12)}
        except OSError:
            return False
        return len(now) == 2 and not any(node.endswith(f"-{pid}") for node in now)

    wait_until(two_again, 30, "two processes serve again")


def test_up_runs_several_beside_its_monitor_and_ends_all_in_time(
    module_valkey: PrivateValkey, tmp_path: Path, children_of: Callable[[int], set[int]]
) -> None:
    base = module_valkey.url.rpartition("/")[0]
    words = ("up", "--workers", "2", "--broker", f"{base}/3", "--store", f"{base}/4")
    process = HeraldProcess(tmp_path / "herald.log", *words)
    process.start()
    pids = children_of(process.pid)
    assert len(pids) == 3
    [monitor] = process.get("api/v1/health")["monitors"]
    assert monitor["connected"]
    before = _watchers(process)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(_get, process, "api/v1/tasks/never/wait?timeout=60")
        stream = pool.submit(_get, process, "events")
        wait_until(lambda: _watchers(process) == before + 2, message="both served")
        begun = time.monotonic()
        assert process.stop()
        assert time.monotonic() - begun < 20
        assert '"timed_out":true' in waiting.result(30)
        assert "event: bye" in stream.result(30)
    assert process.wait(30) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def _get(process: HeraldProcess, path: str) -> str:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.get(process.url + path, headers=headers, timeout=30).text


def _watchers(process: HeraldProcess) -> int:
    """Return how many watchers all its processes have."""
    found = [process.get("api/v1/health") for _ in range(12)]
    return sum({health["node"]: health["watchers"] for health in found}.values())


@pytest.fixture
def children_of() -> Callable[[int], set[int]]:
    def find(parent: int) -> set[int]:
        found: set[int] = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.add(int(stat.parent.name))
        return found

    return find


async def test_an_app_that_only_this_process_has_is_not_for_several() -> None:
    with pytest.raises(InvalidInput, match="herald up -A PROJECT --workers N"):
        await run_all(make_settings(workers=2), make_app("memory://"), None)


async def test_a_store_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    words = ("server", "--workers", "2", "--store", "redis://127.0.0.1:1/0")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "herald_server", *words, "--port", "0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "127.0.0.1:1" in done.stderr
