# /// script
# dependencies = ["fastmcp>=4"]
# ///
"""Start a task, cancel it, and say what came of that."""

import asyncio
import os

from fastmcp import Client

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8787/")
TOKEN = os.environ["HERALD_TOKEN"]
WORK = {"task_type": "resilience_fallback_precompute", "params": {"days_ahead": 365}}


async def main() -> None:
    """Start it and cancel it. The answer tells what happened, not what was asked."""
    async with Client(f"{URL}mcp", auth=TOKEN) as herald:
        started = await herald.call_tool("start_background_task", WORK)
        print(started.data.message)
        task = {"task_id": started.data.task_id}
        cancelled = await herald.call_tool("cancel_task", task)
        print(f"{cancelled.data.status}: {cancelled.data.message}")


asyncio.run(main())
