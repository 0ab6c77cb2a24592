# /// script
# dependencies = ["fastmcp>=4"]
# ///
"""Start an analysis with parameters and show its progress until it ends."""

import asyncio
import os

from fastmcp import Client

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8787/")
TOKEN = os.environ["HERALD_TOKEN"]
WORK = {"task_type": "resilience_contingency", "params": {"days_ahead": 14}}


async def show(progress: float, total: float | None, message: str | None) -> None:
    """Print how far it is, as it is told."""
    print(message)


async def main() -> None:
    """Start it, watch it, tell of it."""
    async with Client(f"{URL}mcp", auth=TOKEN, progress_handler=show) as herald:
        started = await herald.call_tool("start_background_task", WORK)
        task = {"task_id": started.data.task_id}
        # A call lasts at most 45 s: for a longer task it is repeated.
        while not (ended := await herald.call_tool("wait_for_task", task)).data.done:
            pass
    result = ended.data.result
    print("vulnerable to one absence:", result["n1_vulnerabilities_count"])
    print("most critical:", result["most_critical_faculty"])


asyncio.run(main())
