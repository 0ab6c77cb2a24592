"""Tasks are pushed to a client that is not ours: the official one in TypeScript."""

import asyncio
import json
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from herald_client import Herald
from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.conformance import suite
from tests.support.environment import missing
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.soak,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("other_language"),
]

VERSION = "2.4.0"
LISTENS = Path(__file__).with_name("listens.mjs")
ORDER = ["pending", "received", "started", "success"]


@pytest.fixture
def module() -> Path:
    """The client's module; skip if npm's registry does not give it out."""
    try:
        return suite.installed(
            suite.cache(f"client-{VERSION}"),
            (f"@modelcontextprotocol/client@{VERSION}",),
            "@modelcontextprotocol/client/dist/index.mjs",
        )
    except suite.Unreachable as error:
        missing(f"npm's registry ({error})")
        raise


class Place:
    """A Herald, and a worker that can be started late."""

    def __init__(self, place: Path, url: str, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._env = {
            **os.environ,
            "CELERY_BROKER_URL": url,
            "HERALD_BROKER_URL": url,
            "HERALD_RESULT_BACKEND": url,
            "HERALD_DEMO_DB": str(place / "schedule.sqlite3"),
        }
        words = ("up", "--broker", url, "--backend", url)
        self.herald = HeraldProcess(place / "up.log", *words)
        stack.callback(self.herald.stop)
        self.herald.start()

    def work(self) -> None:
        """Start a worker with one slot."""
        words = (sys.executable, "-m", "celery", "-A", "herald_server.demo.app")
        options = ("worker", "-P", "prefork", "-c", "1", "-n", "late@demo")
        log = self._place / "worker.log"
        process = spawn([*words, *options], log, env=self._env)
        self._stack.callback(kill_group, process)
        self._stack.callback(terminate, process, 5)


@pytest.fixture
def place(tmp_path: Path, module_valkey: PrivateValkey) -> Generator[Place, None, None]:
    with ExitStack() as stack:
        yield Place(tmp_path, module_valkey.url, stack)


async def test_each_state_is_pushed_and_nothing_is_asked(
    place: Place, module: Path
) -> None:
    async with Herald(place.herald.url, token=TOKEN) as herald:
        started = [await herald.start("resilience_health_check", {}) for _ in range(2)]
    ids = [one.task_id for one in started]
    words = [str(module), f"{place.herald.url}mcp", TOKEN, *ids]
    process = await asyncio.create_subprocess_exec(
        *(str(suite.NODE), str(LISTENS), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(60):
            async for line in process.stdout:
                assert line.startswith(b"{"), line + await process.stdout.read()
                lines.append(json.loads(line))
                if len(lines) == len(ids):
                    # Both are listened to; only now somebody does them.
                    place.work()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert code == 0
    told = lines[:-1]
    assert {one["method"] for one in told} == {"notifications/tasks"}
    # The worker has one slot, so the second waits there while the first runs.
    assert states(told, ids[1]) == ORDER
    assert states(told, ids[0])[-1] == "success"
    last = next(one for one in reversed(told) if one["taskId"] == ids[1])
    assert last["status"] == "completed"
    assert last["result"]["structuredContent"]["result"]["n1_pass"] in (True, False)
    assert lines[-1]["asked"].count("subscriptions/listen") == 1
    assert not any(method.startswith("tasks/") for method in lines[-1]["asked"])


def states(told: list[dict[str, Any]], task_id: str) -> list[str]:
    """Return the states that were told of a task, each once, in order."""
    said = [one["statusMessage"] for one in told if one["taskId"] == task_id]
    return list(dict.fromkeys(message.split()[0].strip(":") for message in said))
