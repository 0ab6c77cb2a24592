"""Clients of MCP that others have made, each with its defaults, on one journey.

Each is installed into an environment of its own. They connect, start a task, wait 70 s
for it, cancel another, and list: in both eras, over HTTP and stdio, with a token and by
OAuth. What a registry does not give out is reported, and is no failure.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.celery.default_project import Stranger
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.matrix.clients import CLIENTS, ClientProgram, make_place
from tests.support.matrix.table import Outcome, Run, make_table
from tests.support.oauth.provider import providing
from tests.support.servers.nginx import free_port
from tests.support.servers.redis import PrivateValkey

pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(3_600)]

MAX_CONCURRENT = 4
MAX_RUN_S = 300.0
SECONDS = 70.0

CATALOG = """
[task_types.pack]
celery_name = "shop.pack"
[task_types.pack.params.seconds]
type = "number"
required = true
"""


@asynccontextmanager
async def served(broker: str, place: Path) -> AsyncGenerator[HeraldProcess]:
    """Serve Herald, whose tokens an issuer gives out too."""
    catalog = place / "herald.toml"
    catalog.write_text(CATALOG)
    async with providing() as issuer:
        port = free_port()
        herald = HeraldProcess(
            place / "herald.log",
            *("up", *_name_places(broker)),
            port=port,
            HERALD_CATALOG=str(catalog),
            HERALD_JWT_ISSUER=issuer.url,
            HERALD_JWT_JWKS=f"{issuer.url}/jwks",
            HERALD_PUBLIC_URL=f"http://127.0.0.1:{port}",
        )
        await asyncio.to_thread(herald.start)
        try:
            yield herald
        finally:
            await asyncio.to_thread(herald.stop)


async def test_every_client_makes_its_journey(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    project = Stranger(tmp_path / "shop", valkey.url, valkey.url, "threads")
    project.start_worker(64)
    place = make_place()
    installed = [one for one in CLIENTS if await asyncio.to_thread(one.install, place)]
    try:
        async with served(valkey.url, tmp_path) as herald:
            stdio = make_stdio_command(tmp_path, valkey.url)
            outcomes = await _run_all(installed, f"{herald.url}mcp", stdio)
    finally:
        project.stop()
    missing = [one.name for one in CLIENTS if one not in installed]
    sys.stdout.write(f"\n{make_table(outcomes)}\nnot installed: {missing}\n")
    assert not [one for one in outcomes if one.problem]


def make_stdio_command(place: Path, url: str) -> list[str]:
    """Return the command that serves MCP over standard input and output."""
    program = [sys.executable, "-m", "herald_server", "mcp", *_name_places(url)]
    # Some clients pass no variables on.
    return ["/usr/bin/env", f"HERALD_CATALOG={place / 'herald.toml'}", *program]


async def _run_all(
    programs: Sequence[ClientProgram], url: str, stdio: list[str]
) -> list[Outcome]:
    slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def run(program: ClientProgram, way: Run) -> Outcome:
        async with slots:
            return await _run(program, way, url, stdio)

    return await asyncio.gather(
        *(run(one, way) for one in programs for way in one.list_runs())
    )


async def _run(program: ClientProgram, way: Run, url: str, stdio: list[str]) -> Outcome:
    """Run a client; return the steps that it reached."""
    given = {
        "URL": url,
        "TOKEN": TOKEN if way.auth == "token" else "",
        "STDIO": json.dumps(stdio if way.transport == "stdio" else []),
        "ERA": way.era,
        "TASK_TYPE": "pack",
        "SECONDS": str(SECONDS),
    }
    process = await asyncio.create_subprocess_exec(
        *program.command,
        env={**program.environment, **given},
        stdout=-1,
        stderr=-1,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(MAX_RUN_S):
            said, wrong = await process.communicate()
    except TimeoutError:
        process.kill()
        said, wrong = await process.communicate()
    return Outcome.read(program.name, way, process.returncode, said, wrong)


def _name_places(url: str) -> list[str]:
    """Return the options that name a server as broker, backend and store."""
    return ["--broker", url, "--backend", url, "--store", url]
