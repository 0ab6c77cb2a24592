"""`python -m herald_monitor.alive`: whether a monitor of this machine hears its broker.

For health checks of containers: exit code 0 if so, else 1 with a sentence. A monitor
is known by `HERALD_NODE`, else by the name of its host.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from pydantic import ValidationError

from herald_monitor.config import MonitorSettings
from herald_monitor.errors import HeraldError
from herald_monitor.store import MonitorImage
from herald_monitor.stores import store_of

WITHIN = 5.0


async def ailing(settings: MonitorSettings) -> str:
    """Return what is wrong with this machine's monitors; empty if one is well.

    Raises `StoreError`.
    """
    store = store_of(settings)
    async with asyncio.timeout(WITHIN):
        await store.open()
        try:
            living = await store.monitors()
        finally:
            await store.close()
    return judged(living, settings.node, socket.gethostname())


def judged(living: list[MonitorImage], node: str | None, host: str) -> str:
    """Return what is wrong with the monitor `node`, or all on `host`. Pure."""
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
    """Say what is wrong, if anything."""
    try:
        wrong = asyncio.run(ailing(MonitorSettings()))
    except (HeraldError, ValidationError, TimeoutError) as error:
        wrong = str(error) or "the store does not answer"
    if wrong:
        sys.stderr.write(f"herald: {wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
