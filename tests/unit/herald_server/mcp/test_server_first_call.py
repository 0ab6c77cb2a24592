"""The first call over MCP imports no store of sessions: nobody is served meanwhile."""

import subprocess
import sys

from fastmcp import FastMCP

LOOKING = """
import asyncio, sys
from herald_core.store.memory.store import MemoryStore
from herald_server.push.log.log_reader import LogReader
from herald_server.push.log.hub import Hub
from herald_server.mcp.server import build_mcp
from herald_server.api.context import ServerContext
from herald_server.push.status import ServerStatus

async def main():
    store, hub = MemoryStore(), Hub()
    feed = LogReader(store, hub)
    door = build_mcp(ServerContext(store, hub, feed, ServerStatus(store, feed)))
    assert await door._state_store.get(key="any") is None
    print([name for name in sys.modules if name.startswith("key_value")])

asyncio.run(main())
"""


def test_looking_up_the_state_of_a_session_imports_nothing() -> None:
    # FastMCP looks here, for each listing and each call of a session.
    assert isinstance(vars(FastMCP)["_state_store"], property)
    done = subprocess.run(
        [sys.executable, "-c", LOOKING],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
