"""The snippets of README and quickstart, run as printed against one Herald."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

import herald_worker
from herald_client import Herald, Put
from herald_core.system.subprocesses import kill_group, spawn
from herald_server.demo.app import make_app
from tests.support.environment import DOCS, ROOT
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("readme"),
]

URL = "http://127.0.0.1:8787/"
BROKER, BACKEND = "redis://localhost:6379/0", "redis://localhost:6379/1"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced_blocks(text: str) -> dict[str, str]:
    """Return all fenced blocks by `section: language number`."""
    found: dict[str, str] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        title = section.partition("\n")[0]
        for number, (language, code) in enumerate(FENCE.findall(section), 1):
            found[f"{title}: {language} {number}"] = code
    return found


BLOCKS = fenced_blocks((DOCS / "quickstart.md").read_text())
UP = "With your own Celery project: sh 1"

ELSEWHERE = {
    "Two commands: sh 1": "installs with pip; tests/e2e/test_main_job.py runs the demo",
    "Two commands: sh 2": "installs with pip, and runs all tests, this one too",
    "From a web page: js 1": "wants a browser: tests/browser/test_example_page.py",
    "All tasks of one user: js 3": "one message: tests/e2e/test_narrow_tags.py",
}
"""What is not run here, and why."""


class Installation(NamedTuple):
    """One Herald with a worker, and what programs beside it are given."""

    herald: HeraldProcess
    app: Celery
    broker: str
    env: dict[str, str]

    def filled_in(self, text: str) -> str:
        """Return a snippet with our token and addresses for those printed."""
        text = text.replace("YOUR_TOKEN", TOKEN).replace(URL, self.herald.url)
        return text.replace(BACKEND, self.broker).replace(BROKER, self.broker)

    def send(self, name: str, **kwargs: object) -> str:
        """Send a task as the project's own code does; return its id."""
        return str(cast(Any, self.app).send_task(name, kwargs=kwargs).id)


def environment(place: Path, broker: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "XDG_STATE_HOME": str(place / "state"),
        "HERALD_DEMO_DB": str(place / "schedule.sqlite3"),
        "CELERY_BROKER_URL": broker,
    }


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, module_valkey: PrivateValkey
) -> Generator[Installation, None, None]:
    """`herald up` as the quickstart has it, and a worker of the sample project."""
    place, broker = tmp_path_factory.mktemp("readme"), module_valkey.url
    env = environment(place, broker)
    _, _, *words = shlex.split(BLOCKS[UP].splitlines()[2], comments=True)
    words = [sys.executable, "-m", "celery", "-A", "herald_server.demo.app", *words[1:]]
    worker = spawn(
        [*words, "-P", "threads", "-c", "2", "-n", "readme@demo"],
        place / "worker.log",
        env={**env, "HERALD_BROKER_URL": broker},
    )
    printed = BLOCKS[UP].splitlines()[0]
    printed = printed.replace(BROKER, broker).replace(BACKEND, broker)
    program, *rest = shlex.split(printed)
    assert program == "herald"
    up = HeraldProcess(place / "up.log", *rest, **cast(Any, env))
    app = make_app(broker, broker)
    try:
        # The sample's schedule is made by its first task: while Herald starts.
        cast(Any, app).send_task("app.resilience.tasks.periodic_health_check")
        up.start()
        control = cast(Any, app).control
        wait_until(lambda: control.ping(timeout=0.3), 30, "the worker answers")
        yield Installation(up, app, broker, {**env, "HERALD_URL": up.url})
    finally:
        kill_group(worker)
        up.stop()
        cast(Any, app).close()


# -- running --------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(
    env: dict[str, str], *words: str
) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Run a program for the length of the block; what it says is in its stdout."""
    process = await asyncio.create_subprocess_exec(
        *words,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.communicate()


async def said(process: asyncio.subprocess.Process, pattern: str) -> str:
    """Return the first line that matches; fail with all that was said before."""
    assert process.stdout is not None
    before: list[str] = []
    while line := (await asyncio.wait_for(process.stdout.readline(), 30)).decode():
        if re.search(pattern, line):
            return line
        before.append(line)
    pytest.fail(f"no {pattern!r} in: {''.join(before)}")


async def finished(env: dict[str, str], script: str) -> tuple[int | None, str]:
    """Run a script of the shell to its end; return its exit code and what it said."""
    async with running(env, "bash", "-c", script) as shell:
        out, _ = await asyncio.wait_for(shell.communicate(), 30)
        return shell.returncode, out.decode()


# -- the snippets ---------------------------------------------------------------------


async def own_project(here: Installation, code: str) -> None:
    """Its first command is the Herald of this module; the second has a test."""
    first, second, third, *more = code.splitlines()
    assert not more
    assert shlex.split(first)[1:2] == ["up"]
    assert "celery -A proj herald " in second  # tests/e2e/test_plugin.py
    assert shlex.split(third, comments=True)[:3] == ["celery", "-A", "proj"]
    assert here.herald.get("api/v1/health")["monitors"]
    [worker] = here.herald.get("api/v1/workers")["workers"]
    assert worker["outbox"]


async def tagged(here: Installation, code: str) -> None:
    """Send a task with a tag; Herald finds it by the tag, and no other."""
    herald_worker.install(here.app)
    here.send("app.resilience.tasks.periodic_health_check")
    exec(code, {"report": Report(here.app)})
    assert await follow_tag(here, TOKEN, tag="user:42") == {("user:42",)}


class Report:
    """A task of the project, as its code sends it."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def delay(self, *args: object) -> None:
        """Send it."""
        cast(Any, self._app).send_task("reports.monthly", args)


async def minted_for_tag(here: Installation, script: str) -> None:
    """Make a token for a tag; it sees what carries the tag, and nothing else."""
    name, headers = "app.resilience.tasks.periodic_health_check", ["user:42"]
    cast(Any, here.app).send_task(name, headers={"herald_tags": headers})
    code, out = await finished({**here.env, "HERALD_TOKEN": TOKEN}, script)
    assert code == 0, out
    assert await follow_tag(here, out.split()[0]) == {("user:42",)}


async def follow_tag(
    here: Installation, token: str, tag: str | None = None
) -> set[tuple[str, ...] | None]:
    """Return the tags of all tasks that a token sees, once one of them has ended."""
    found: set[tuple[str, ...] | None] = set()
    async with Herald(here.herald.url, token=token) as herald, asyncio.timeout(30):
        async for change in herald.watch(tag=tag) if tag else herald.watch():
            if isinstance(change, Put):
                found.add(change.image.tags)
                if change.image.final:
                    return found
    return found


async def agent_over_http(here: Installation, code: str) -> None:
    server = json.loads(here.filled_in(code))["mcpServers"]["herald"]
    assert server.keys() == {"type", "url", "headers"}
    assert server["type"] == "http"
    transport = StreamableHttpTransport(server["url"], headers=server["headers"])
    async with Client(transport) as agent:
        given = {"task_type": "resilience_utilization_forecast"}
        started = await agent.call_tool("start_background_task", given)
        waited = {"task_id": cast(Any, started).structured_content["task_id"]}
        answer = await agent.call_tool("wait_for_task", waited)
    assert cast(Any, answer).structured_content["status"] == "success"


async def agent_over_stdio(_: Installation, code: str) -> None:
    """The settings of a file that tests/e2e/test_examples.py hands to a client."""
    clients = ROOT / "server" / "examples" / "clients"
    assert json.loads(code) == json.loads((clients / "stdio.json").read_text())


async def python(here: Installation, code: str) -> None:
    program = here.filled_in(code)
    async with running(here.env, sys.executable, "-W", "error", "-c", program) as ran:
        assert "utilization" in await said(ran, "^SUCCESS ")
        failing = here.send("app.resilience.tasks.periodic_health_check", unheard_of=1)
        assert "FAILURE" in await said(ran, rf"^Put\(.*{failing}")


async def watched(here: Installation, script: str) -> None:
    """Follow `herald watch` until it tells of a task that comes meanwhile."""
    async with running(here.env, "bash", "-c", script) as shell:
        here.send("reports.monthly")
        await said(shell, r"reports\.monthly")


async def waited_for(here: Installation, script: str) -> None:
    async with Herald(here.herald.url, token=TOKEN) as herald:
        started = await herald.start("resilience_utilization_forecast")
    code, out = await finished(here.env, script.replace("TASK_ID", started.task_id))
    assert code == 0, out
    assert "SUCCESS" in out


async def listed(here: Installation, script: str) -> None:
    failing = await failed(here)
    code, out = await finished(here.env, script)
    assert code == 0, out
    assert failing in out


async def started_and_waited(here: Installation, script: str) -> None:
    code, out = await finished(here.env, script)
    assert code == 0, out
    assert re.search(r" SUCCESS .*generate_utilization_forecast", out), out


async def cancelled(here: Installation, script: str) -> None:
    # An hour ahead, so that it waits until it is revoked.
    sent = cast(Any, here.app).send_task(
        "app.resilience.tasks.periodic_health_check", countdown=3600
    )
    async with Herald(here.herald.url, token=TOKEN) as herald:
        await anext(aiter(herald.watch(ids=[sent.id], state="RECEIVED")))
    code, out = await finished(here.env, script.replace("TASK_ID", sent.id))
    assert code == 0, out
    assert here.herald.get(f"api/v1/tasks/{sent.id}")["state"] == "REVOKED"


async def failed(here: Installation) -> str:
    """Send a task that fails; return its id once Herald knows."""
    failing = here.send("app.resilience.tasks.periodic_health_check", unheard_of=1)
    async with Herald(here.herald.url, token=TOKEN) as herald:
        assert (await herald.wait(failing, timeout=30)).state == "FAILURE"
    return failing


LINES: dict[str, Callable[[Installation, str], Awaitable[None]]] = {
    "herald watch": watched,
    "herald wait": waited_for,
    "herald tasks": listed,
    "herald start": started_and_waited,
    "herald cancel": cancelled,
    "curl -H": listed,
}


async def shell(here: Installation, code: str) -> None:
    """Run each line in a shell of its own, after the one that sets the token."""
    first, *lines = here.filled_in(code).splitlines()
    assert first.startswith("export HERALD_TOKEN=")
    commands = [" ".join(line.split()[:2]) for line in lines]
    assert sorted(commands) == sorted(LINES)
    runs = zip(commands, lines, strict=True)
    await asyncio.gather(
        *(LINES[command](here, f"{first}\n{line}") for command, line in runs)
    )


RUN: dict[str, Callable[[Installation, str], Awaitable[None]]] = {
    UP: own_project,
    "All tasks of one user: python 1": tagged,
    "All tasks of one user: sh 2": minted_for_tag,
    "From an AI agent: json 1": agent_over_http,
    "From an AI agent: json 2": agent_over_stdio,
    "From Python: python 1": python,
    "From the shell: sh 1": shell,
}


@pytest.mark.parametrize("where", RUN)
async def test_snippets_do_what_they_say(
    installation: Installation, where: str
) -> None:
    await RUN[where](installation, BLOCKS[where])


def test_the_readme_prints_snippets_of_the_quickstart() -> None:
    printed = fenced_blocks((ROOT / "README.md").read_text())
    assert UP in printed
    assert printed.items() <= BLOCKS.items()


def test_every_snippet_is_run_or_named() -> None:
    assert not RUN.keys() & ELSEWHERE.keys()
    assert BLOCKS.keys() == RUN.keys() | ELSEWHERE.keys()
