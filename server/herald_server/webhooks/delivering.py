"""All endpoints, told by one server process at a time: whoever has the lease.

Each endpoint has a courier with connections, a cursor and a breaker of its own, so
none waits for another. A process that takes over goes on from the stored cursors.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import httpcore2
import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.lease import Lease
from herald_monitor.store import Store
from herald_server.hub import Hub
from herald_server.webhooks.backoff import Pace
from herald_server.webhooks.courier import PARALLEL, Courier
from herald_server.webhooks.desk import Desk
from herald_server.webhooks.endpoint import Endpoint
from herald_server.webhooks.posting import Poster
from herald_server.webhooks.register import DAY, Register

log = logging.getLogger(__name__)

WORK = "webhooks"

GLANCE = 0.5
"""Seconds between two looks at who is registered: doors of other processes do that."""

PAUSE = 2.0
"""Seconds after which a courier that broke down is started again."""


class Round:
    """One courier at work, with what it was started for."""

    def __init__(self, courier: Courier, poster: Poster) -> None:
        self._courier = courier
        self._poster = poster
        self._task = asyncio.create_task(self._run())

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint as it was registered last."""
        return self._courier.endpoint

    def renew(self, endpoint: Endpoint) -> bool:
        """Go on with another secret; say whether that is all that is new."""
        told = self._courier.endpoint
        if msgspec.structs.replace(told, secrets=endpoint.secrets) != endpoint:
            return False
        self._courier.endpoint = endpoint
        return True

    async def take_late(self) -> None:
        """Take up what a door moved back."""
        await self._courier.take_late()

    async def stop(self) -> None:
        """End it, with what is under way."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                try:
                    return await self._courier.run()
                except Exception:
                    log.exception("webhook %s broke down", self.endpoint.id)
                    await asyncio.sleep(PAUSE)
        finally:
            await self._poster.close()


class Delivering:
    """Runs couriers as long as this process has the lease.

    `desk` has the endpoints of this process' herald.toml, beside those that are
    registered in the store.
    """

    def __init__(
        self,
        desk: Desk,
        store: Store,
        hub: Hub,
        node: str,
        pace: Pace | None = None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._desk = desk
        self._pace = pace or Pace()
        self._register = Register(store)
        # Two processes may have the same name in a container.
        self._lease = Lease(store, WORK, f"{node}-{uuid4().hex[:8]}")
        self._rounds: dict[str, Round] = {}
        self._calls: dict[str, bytes] = {}
        self._tls: ssl.SSLContext | None = None
        self._renewed = 0.0

    async def run(self) -> None:
        """Go on until cancelled."""
        keeping = asyncio.create_task(self._lease.keep())
        try:
            while True:
                try:
                    await self._look()
                except StoreError as error:
                    log.debug("webhooks are looked at later: %s", error)
                except Exception:  # or nobody would be told any more
                    log.exception("webhooks are looked at later")
                    await asyncio.sleep(PAUSE)
                await self._asked()
        finally:
            # While the lease is held: they say how far they are.
            await self._stop(list(self._rounds))
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _asked(self) -> None:
        """Wait until it is worth while to look again."""
        try:
            async with asyncio.timeout(GLANCE):
                await self._desk.changed.wait()
        except TimeoutError:
            pass
        self._desk.changed.clear()

    async def _look(self) -> None:
        if not self._lease.held:
            await self._stop(list(self._rounds))
            return
        registered = await self._register.endpoints()
        await self._keep(registered)
        wanted = {one.id: one for one in (*registered, *self._desk.standing.values())}
        gone = [id_ for id_ in self._rounds if id_ not in wanted]
        await self._stop(gone)
        for id_ in gone:
            await self._register.clean(id_)
        for endpoint in wanted.values():
            await self._go(endpoint)
        await self._take_late()

    async def _go(self, endpoint: Endpoint) -> None:
        at_work = self._rounds.get(endpoint.id)
        if at_work is not None:
            if at_work.renew(endpoint):
                return
            await self._stop([endpoint.id])
        if self._tls is None:
            # Reads the machine's certificates: not on the loop.
            self._tls = await asyncio.to_thread(httpcore2.default_ssl_context)
        poster = Poster(self._desk.guard, PARALLEL, self._tls)
        courier = Courier(
            endpoint,
            self._store,
            self._hub,
            poster,
            lambda: self._lease.held,
            self._pace,
        )
        self._rounds[endpoint.id] = Round(courier, poster)

    async def _take_late(self) -> None:
        calls = await self._register.calls()
        for id_, call in calls.items():
            if self._calls.get(id_) != call and id_ in self._rounds:
                await self._rounds[id_].take_late()
        self._calls = calls

    async def _keep(self, registered: Sequence[Endpoint]) -> None:
        """Renew the time for which endpoints are kept, once a day."""
        now = asyncio.get_running_loop().time()
        if self._renewed and now - self._renewed < DAY:
            return
        for endpoint in registered:
            await self._register.renew(endpoint.id)
        self._renewed = now

    async def _stop(self, ids: Sequence[str]) -> None:
        rounds = [self._rounds.pop(id_) for id_ in ids]
        await asyncio.gather(*(one.stop() for one in rounds))


@asynccontextmanager
async def delivering(
    desk: Desk, store: Store, hub: Hub, node: str, pace: Pace | None = None
) -> AsyncGenerator[None]:
    """Deliver in turn with other processes while the block runs."""
    running = asyncio.create_task(Delivering(desk, store, hub, node, pace).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
