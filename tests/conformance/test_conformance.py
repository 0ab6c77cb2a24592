"""The official conformance suite of MCP, in both eras of the protocol."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from herald_server.wiring.web_server.listening import format_url, listen
from tests.support.conformance import suite
from tests.support.conformance.fixture_app import Fixture
from tests.support.environment import missing
from tests.support.herald.uvicorn_server import Quiet
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    # The suite calls logging, which the newer protocol deprecates.
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),
]

CHECKS = {"2026-07-28": 194, "2025-11-25": 84}
"""How many checks the pinned suite makes: none is left out in silence."""


@contextlib.asynccontextmanager
async def served() -> AsyncGenerator[str, None]:
    """Serve the fixture on a port of its own; yields the URL of `/mcp`."""
    fixture = Fixture()
    bound = listen("127.0.0.1", 0)
    options: dict[str, Any] = {"log_config": None, "access_log": False}
    config = uvicorn.Config(
        fixture.app(), lifespan="on", timeout_graceful_shutdown=1, **options
    )
    server = Quiet(config)
    async with fixture.running():
        serving = asyncio.create_task(server.serve([bound]))
        await wait_until_async(lambda: server.started)
        try:
            yield format_url(bound) + "mcp"
        finally:
            fixture.listening.close()
            server.should_exit = True
            await serving


def given() -> Path:
    """Return the suite's program; skip if npm's registry does not give it out."""
    try:
        return suite.suite()
    except suite.Unreachable as error:
        missing(f"npm's registry ({error})")
        raise


async def ran(*options: str) -> suite.Verdict:
    """Run the suite against a fixture of its own."""
    program = await asyncio.to_thread(given)
    async with served() as url:
        words = [str(suite.NODE), str(program), "server", "--url", url, *options]
        process = await asyncio.create_subprocess_exec(
            *words,
            env=suite.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode is not None
    return suite.verdict(said.decode(), process.returncode)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("revision", CHECKS)
async def test_all_that_a_revision_requires(revision: str) -> None:
    told = await ran("--requirements", revision)
    assert told.failed == 0, told.said
    assert (told.passed, told.exit_code) == (CHECKS[revision], 0), told.said


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_all_that_the_suite_has() -> None:
    told = await ran("--suite", "all")
    assert (told.failed, told.exit_code) == (0, 0), told.said


def test_a_run_without_a_total_counts_as_failed() -> None:
    assert suite.verdict("Error: connect ECONNREFUSED", 1).failed == 1
    total = "\x1b[1mTotal: 12 passed, 3 failed\x1b[0m"
    assert suite.verdict(total, 1) == suite.Verdict(
        12, 3, 1, "Total: 12 passed, 3 failed"
    )


def test_a_registry_that_cannot_be_reached_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    with pytest.raises(suite.Unreachable, match="ECONNREFUSED"):
        suite.installed(tmp_path, suite.PACKAGES, "nothing")
