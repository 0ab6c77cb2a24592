"""A server's parts over a store in memory, with a monitor that hears the broker."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast
from uuid import uuid4

from celery import Celery

from herald_monitor.model.shape import TaskImage
from herald_monitor.monitor import Monitor
from herald_monitor.store import Store
from herald_server.catalog import Catalog
from herald_server.control import Control
from herald_server.repeating import Repeating
from tests.mcp_house import House, house

ALL = Catalog([], ["*"])


@contextlib.asynccontextmanager
async def watched(
    app: Celery, store: Store | None = None, **settings: float
) -> AsyncGenerator[House, None]:
    """Open a house whose monitor, with `settings`, tells of the events of `app`."""
    async with house(app, store, catalog=ALL) as made:
        stop, node = asyncio.Event(), f"test-{uuid4().hex[:6]}"
        control = control_of(made)
        monitor = Monitor(app, made.store, node=node, **cast(Any, settings))
        running = [
            asyncio.create_task(monitor.run(stop)),
            asyncio.create_task(
                Repeating(control.cancels, made.store, made.hub, node).run()
            ),
        ]
        try:

            async def hears() -> bool:
                # The house has a monitor of its own, which hears nothing.
                monitors = await made.store.monitors()
                return any(one.connected and one.id == node for one in monitors)

            await settled(hears)
            yield made
        finally:
            running[1].cancel()
            stop.set()
            await asyncio.gather(*running, return_exceptions=True)


def control_of(made: House) -> Control:
    """Return what sends to Celery."""
    assert made.shared.control is not None
    return made.shared.control


async def settled(
    predicate: Callable[[], Awaitable[bool]], within: float = 30.0
) -> None:
    """Wait until `predicate` answers yes."""
    async with asyncio.timeout(within):
        while not await predicate():
            await asyncio.sleep(0.02)


async def in_state(made: House, task_id: str, *states: str) -> TaskImage:
    """Wait until a task is in one of `states`; return it."""

    async def there() -> bool:
        return (await made.store.task(task_id)).state in states

    await settled(there)
    return await made.store.task(task_id)


async def online(made: House, hostname: str, *states: str) -> None:
    """Wait until a worker is in one of `states` (`online` if none is given)."""

    async def there() -> bool:
        workers = await made.store.workers(now=asyncio.get_running_loop().time())
        return any(
            one.hostname == hostname and one.state in (states or ("online",))
            for one in workers
        )

    await settled(there)
