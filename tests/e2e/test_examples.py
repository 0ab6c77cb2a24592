"""The programs and settings in server/examples, each as its readers run it."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

from herald_core.system.subprocesses import kill_group, spawn
from herald_server.demo.app import make_app
from tests.support.environment import ROOT
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("examples"),
]

EXAMPLES = ROOT / "server" / "examples"
DEFAULT = "http://127.0.0.1:8787/"
DEFAULT_BROKER = "redis://localhost:6379/0"

PROGRAMS = {
    "health_check.py": [r"^\w+: ", r"one member gone: (True|False)"],
    "contingency.py": [r"^success", r"vulnerable to one absence: \d+"],
    "metrics.py 2026-11-23 2026-11-29": [r"fairness +\d\.\d{3}", r"coverage +\d\.\d"],
    "active_tasks.py": [r"^\d+ active at \d{4}-"],
    "start_and_cancel.py": [r"^revoked: Cancelled"],
}


@pytest.fixture(scope="module")
def env(
    tmp_path_factory: pytest.TempPathFactory, module_valkey: PrivateValkey
) -> dict[str, str]:
    """The settings of one installation."""
    place = tmp_path_factory.mktemp("examples")
    return {
        **os.environ,
        "PLACE": str(place),
        "CELERY_BROKER_URL": module_valkey.url,
        "HERALD_BROKER_URL": module_valkey.url,
        "HERALD_RESULT_BACKEND": module_valkey.url,
        "HERALD_DEMO_DB": str(place / "schedule.sqlite3"),
    }


@pytest.fixture(scope="module")
def herald(env: dict[str, str]) -> Generator[HeraldProcess, None, None]:
    """`herald up` and a worker of the sample project."""
    place = Path(env["PLACE"])
    words = (sys.executable, "-m", "celery", "-A", "herald_server.demo.app", "worker")
    worker = spawn(
        [*words, "-P", "prefork", "-c", "2", "-n", "examples@demo"],
        place / "worker.log",
        env=env,
    )
    up = HeraldProcess(
        place / "up.log",
        *("up", "--broker", env["HERALD_BROKER_URL"]),
        *("--backend", env["HERALD_RESULT_BACKEND"]),
    )
    app: Celery = make_app(env["HERALD_BROKER_URL"], env["HERALD_BROKER_URL"])
    try:
        up.start()
        control = cast(Any, app).control
        wait_until(lambda: control.ping(timeout=0.3), 30, "the worker answers")
        yield up
    finally:
        up.stop()
        kill_group(worker)
        cast(Any, app).close()


async def ran(herald: HeraldProcess, *words: str) -> tuple[int, str]:
    """Run an example as its reader does; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / words[0]), *words[1:]),
        env={**os.environ, "HERALD_URL": herald.url, "HERALD_TOKEN": TOKEN},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


BRIEF = ("health_check.py", "start_and_cancel.py")


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(name, marks=[] if name in BRIEF else [pytest.mark.soak])
        for name in PROGRAMS
    ],
)
async def test_programs(herald: HeraldProcess, program: str) -> None:
    code, said = await ran(herald, *program.split())
    assert code == 0, said
    for pattern in PROGRAMS[program]:
        assert re.search(pattern, said, re.MULTILINE), said


async def test_a_wrong_date_is_told_in_a_sentence(herald: HeraldProcess) -> None:
    code, said = await ran(herald, "metrics.py", "2026-11-29", "2026-11-23")
    assert code == 1
    assert "start_date" in said.splitlines()[-1]


def test_every_program_is_run_and_told_of() -> None:
    programs = {program.split()[0] for program in PROGRAMS}
    assert {path.name for path in EXAMPLES.glob("*.py")} == programs
    told = (EXAMPLES / "README.md").read_text()
    clients = {f"clients/{path.name}" for path in (EXAMPLES / "clients").iterdir()}
    assert all(f"]({name})" in told for name in programs | clients)


def test_no_program_asks_again_and_again() -> None:
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        assert "sleep" not in text
        assert "get_task_status" not in text


# -- settings of clients ---------------------------------------------------------------


def filled_in(text: str, herald: HeraldProcess) -> str:
    """Return a setting as a client expands it."""
    text = text.replace(f"${{HERALD_URL:-{DEFAULT}}}", herald.url)
    text = re.sub(
        r"\$\{(env:HERALD_TOKEN|HERALD_TOKEN|input:herald-token)\}", TOKEN, text
    )
    return text.replace("YOUR_TOKEN", TOKEN).replace(DEFAULT, herald.url)


@pytest.mark.parametrize("client", ["claude-code", "cursor", "vscode", "inspector"])
async def test_settings_of_clients(herald: HeraldProcess, client: str) -> None:
    text = (EXAMPLES / "clients" / f"{client}.json").read_text()
    assert "a-token" not in text
    settings: dict[str, Any] = json.loads(filled_in(text, herald))
    server = (settings.get("mcpServers") or settings["servers"])["herald"]
    transport = StreamableHttpTransport(server["url"], headers=server["headers"])
    async with Client(transport) as agent:
        names = {tool.name for tool in await agent.list_tools()}
    assert "start_background_task" in names


async def test_settings_over_stdio(herald: HeraldProcess, env: dict[str, str]) -> None:
    text = (EXAMPLES / "clients" / "stdio.json").read_text()
    server = json.loads(text.replace(DEFAULT_BROKER, env["HERALD_BROKER_URL"]))
    server = server["mcpServers"]["herald"]
    assert server["command"] == "herald"
    place = Path(env["PLACE"])
    given = {**os.environ, "XDG_STATE_HOME": str(place / "state"), **server["env"]}
    transport = StdioTransport(
        sys.executable,
        ["-m", "herald_server", *server["args"]],
        env=given,
        log_file=place / "stdio.log",
        keep_alive=False,
    )
    async with Client(transport) as agent:
        (content,) = await agent.read_resource("herald://health")
    # The same store as that of `herald up`: its monitor is heard of.
    assert json.loads(cast(Any, content).text)["monitors"]
