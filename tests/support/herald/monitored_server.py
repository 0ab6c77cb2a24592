"""A server's parts over a store in memory, with a monitor that hears the broker."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast
from uuid import uuid4

from celery import Celery

from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import Store
from herald_monitor.runtime.monitor import Monitor
from herald_server.catalog.catalog import Catalog
from herald_server.control.cancel.replay import CancelReplay
from herald_server.control.control import Control
from tests.support.herald.mcp_environment import House, house
from tests.support.wait import wait_until_async

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
                CancelReplay(control.canceller, made.store, made.hub, node).run()
            ),
        ]
        try:

            async def hears() -> bool:
                # The house has a monitor of its own, which hears nothing.
                monitors = await made.store.list_monitors()
                return any(one.connected and one.id == node for one in monitors)

            await wait_until_async(hears, 30)
            yield made
        finally:
            running[1].cancel()
            stop.set()
            await asyncio.gather(*running, return_exceptions=True)


def control_of(made: House) -> Control:
    """Return what sends to Celery."""
    assert made.shared.control is not None
    return made.shared.control


async def in_state(made: House, task_id: str, *states: str) -> TaskView:
    """Wait until a task is in one of `states`; return it."""
    return await wait_until_async(
        lambda: made.store.get_task(task_id),
        30,
        f"{task_id} in {states}",
        accept=lambda task: task.state in states,
    )


async def online(made: House, hostname: str, *states: str) -> None:
    """Wait until a worker is in one of `states` (`online` if none is given)."""

    async def there() -> bool:
        workers = await made.store.list_workers(now=asyncio.get_running_loop().time())
        return any(
            one.hostname == hostname and one.state in (states or ("online",))
            for one in workers
        )

    await wait_until_async(there, 30)
