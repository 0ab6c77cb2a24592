# /// script
# dependencies = ["fastmcp>=4"]
# ///
"""Start a health check and print its verdict."""

import asyncio
import os

from fastmcp import Client

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8787/")
TOKEN = os.environ["HERALD_TOKEN"]


async def main() -> None:
    """Start it, wait for it, tell of it."""
    async with Client(f"{URL}mcp", auth=TOKEN) as herald:
        started = await herald.call_tool(
            "start_background_task", {"task_type": "resilience_health_check"}
        )
        task = {"task_id": started.data.task_id}
        ended = await herald.call_tool("wait_for_task", task)
        result = ended.data.result
    print(f"{result['status']}: {result['utilization']}")
    print("covered with one member gone:", result["n1_pass"])
    print("covered with two members gone:", result["n2_pass"])


asyncio.run(main())
