# /// script
# dependencies = ["fastmcp>=4"]
# ///
"""Compute metrics over a range of dates: `metrics.py 2026-01-01 2026-01-31`."""

import asyncio
import os
import sys

from fastmcp import Client

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8787/")
TOKEN = os.environ["HERALD_TOKEN"]


async def main(start: str, end: str) -> None:
    """Start it, wait for it, tell of it. A wrong date is refused with a sentence."""
    params = {"start_date": start, "end_date": end}
    work = {"task_type": "metrics_computation", "params": params}
    async with Client(f"{URL}mcp", auth=TOKEN) as herald:
        started = await herald.call_tool("start_background_task", work)
        task = {"task_id": started.data.task_id}
        ended = await herald.call_tool("wait_for_task", task)
    for name, metric in ended.data.result["schedule_analysis"]["metrics"].items():
        print(f"{name:12} {metric['value']:.3f}")


asyncio.run(main(*sys.argv[1:3]))
