"""The health check of a container: is the monitor alive, and does the store answer?"""

from __future__ import annotations

import asyncio
import socket
import sys

from pydantic import ValidationError

from herald_core.errors import HeraldError
from herald_core.model.monitors import MonitorView
from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store

HEALTH_TIMEOUT_S = 5.0


async def find_health_problem(settings: MonitorSettings) -> str:
    """Return the problem of this machine's monitors; empty if one is healthy.

    Raises `StoreError`.
    """
    store = make_store(settings)
    async with asyncio.timeout(HEALTH_TIMEOUT_S):
        await store.open()
        try:
            living = await store.list_monitors()
        finally:
            await store.close()
    return judge_monitors(living, settings.node, socket.gethostname())


def judge_monitors(living: list[MonitorView], node: str | None, host: str) -> str:
    """Return the problem of the monitor `node`, or of all on `host`. Pure."""
    mine = [
        one
        for one in living
        if (one.id == node if node else one.id.rpartition("-")[0] == host)
    ]
    if not mine:
        return f"no monitor of {node or host} has spoken for 10 s"
    if not any(one.connected for one in mine):
        return f"the monitor of {node or host} is not connected to the broker"
    return ""


def main() -> int:
    """Print the problem, if there is one."""
    try:
        wrong = asyncio.run(find_health_problem(MonitorSettings()))
    except (HeraldError, ValidationError, TimeoutError) as error:
        wrong = str(error) or "the store does not answer"
    if wrong:
        sys.stderr.write(f"herald: {wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
