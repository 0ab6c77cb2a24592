"""Which store `herald mcp` reads: one that a living monitor writes to, or none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.herald.mcp_environment import call
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

HERALD = (sys.executable, "-m", "herald_server")


def surroundings(state: Path, **more: str) -> dict[str, str]:
    """Variables without any Herald but those given; its state lies in `state`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
    return {**kept, "XDG_STATE_HOME": str(state), **more}


def refusal(env: dict[str, str], *words: str) -> str:
    """Run `herald mcp`, which must refuse; return its sentence."""
    done = subprocess.run(
        [*HERALD, "mcp", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_without_a_running_herald_it_says_what_to_type(
    tmp_path: Path, valkey: PrivateValkey
) -> None:
    said = refusal(surroundings(tmp_path), "--broker", valkey.url)
    assert f"herald up --broker {valkey.url}" in said
    assert "--store" in said
    with valkey.client() as client:
        assert client.keys("*") == []


def test_a_store_that_no_monitor_writes_to_is_refused_and_left_as_it_was(
    tmp_path: Path, valkey: PrivateValkey
) -> None:
    said = refusal(surroundings(tmp_path), "--store", valkey.url)
    assert "no monitor writes to the store" in said
    assert "herald monitor" in said
    with valkey.client() as client:
        assert client.keys("*") == []


async def test_it_finds_a_herald_whose_data_lies_elsewhere(
    tmp_path: Path, valkey: PrivateValkey
) -> None:
    env = surroundings(tmp_path, HERALD_BROKER_URL=valkey.url)
    log = tmp_path / "up.log"
    words = ["up", "--port", "0", "--data", str(tmp_path / "data")]
    up = spawn([*HERALD, *words], log, env=env)
    try:
        wait_until(lambda: "ready http" in log.read_text(), 40, "herald up is ready")
        transport = StdioTransport(
            HERALD[0], [*HERALD[1:], "mcp"], env=env, keep_alive=False
        )
        async with Client(transport) as client:
            told = await call(client, "get_task_status", task_id="nobody-knows")
        assert told["status"] == "unknown"
        assert "Outdated" not in told["message"]
    finally:
        terminate(up, 15)
        kill_group(up)
    assert "no running Herald was found" in refusal(env)
