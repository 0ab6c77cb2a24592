"""`herald mcp doctor` calls the server as a client would."""

import asyncio

import pytest
from click.testing import CliRunner, Result

from herald_server.auth.identity import Identity
from herald_server.cli.server_commands.mcp import mcp
from tests.support.herald.mcp_environment import house, over_http

pytestmark = pytest.mark.anyio

TOKENS = {"good-token": Identity("ann")}


async def run(*args: str) -> Result:
    """Run `herald mcp doctor` in a thread, with a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, mcp, ["doctor", *args])


async def test_a_server_that_works_is_told_in_both_eras() -> None:
    async with house() as made, over_http(made, TOKENS) as url:
        await made.started("t1")
        done = await run("--url", url, "--token", "good-token")
    assert done.exit_code == 0, done.output
    for version in ("2026-07-28", "2025-11-25"):
        assert f"ok   {version}: connected" in done.output
        assert f"ok   {version}: list_active_tasks answers: 1 active" in done.output
        assert f"ok   {version}: herald://health can be read" in done.output


async def test_a_wrong_token_and_a_wrong_address_say_what_to_do() -> None:
    async with house() as made, over_http(made, TOKENS) as url:
        wrong = await run("--url", url, "--token", "bad-token")
    away = await run("--url", "http://127.0.0.1:1/mcp")
    assert (wrong.exit_code, away.exit_code) == (1, 1)
    assert "--token or HERALD_TOKEN" in wrong.output
    assert "FAIL 401: the token is refused" in wrong.output
    assert "FAIL" in away.output
    assert "Check the address" in away.output
