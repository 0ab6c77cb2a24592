# /// script
# dependencies = ["fastmcp>=4"]
# ///
"""List the tasks that wait or run, with how far they are."""

import asyncio
import os

from fastmcp import Client

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8787/")
TOKEN = os.environ["HERALD_TOKEN"]


async def main() -> None:
    """Ask once: the answer comes from Herald's memory, no worker is disturbed."""
    async with Client(f"{URL}mcp", auth=TOKEN) as herald:
        active = (await herald.call_tool("list_active_tasks")).data
    print(f"{active.total_active} active at {active.queried_at}")
    for task in active.tasks:
        percent = "" if task.progress is None else f"{task.progress:.0f} %"
        print(f"{task.status:9} {percent:>6}  {task.task_name}  {task.task_id}")


asyncio.run(main())
