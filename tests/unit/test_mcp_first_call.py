"""The first call over MCP imports no store of sessions: nobody is served meanwhile."""

import subprocess
import sys

from fastmcp import FastMCP

LOOKING = """
import asyncio, sys
from herald_monitor.memory import MemoryStore
from herald_server.feed import Feed
from herald_server.hub import Hub
from herald_server.mcp.door import build_mcp
from herald_server.state import Shared
from herald_server.status import Status

async def main():
    store, hub = MemoryStore(), Hub()
    feed = Feed(store, hub)
    door = build_mcp(Shared(store, hub, feed, Status(store, feed)))
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
