"""Deliver to all endpoints from one server process at a time: the lease holder.

Each endpoint has a worker with its own connections, cursor and breaker, so none waits
for another. A process that takes over continues from the stored cursors.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from herald_core.errors import StoreError
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_core.system.cancellation import cancel_tasks, run_in_background
from herald_server.push.log.hub import Hub
from herald_server.webhooks.admin import WebhookAdmin
from herald_server.webhooks.endpoint import WebhookEndpoint
from herald_server.webhooks.repository import DAY_S, WebhookRepository
from herald_server.webhooks.retry_policy import RetryPolicy

if TYPE_CHECKING:
    from herald_server.webhooks.delivery.endpoint_worker import EndpointWorker
    from herald_server.webhooks.delivery.http_sender import HttpSender

log = logging.getLogger(__name__)

LEASE_NAME = "webhooks"

POLL_INTERVAL_S = 2.0
"""Seconds between checks of the registered endpoints: other processes change them."""

RETRY_PAUSE_S = 2.0
"""Seconds after which a failed endpoint worker is restarted."""


class RunningWorker:
    """A running endpoint worker."""

    def __init__(self, worker: EndpointWorker, sender: HttpSender) -> None:
        self._worker = worker
        self._http = sender
        self._task = asyncio.create_task(self._run())

    @property
    def endpoint(self) -> WebhookEndpoint:
        """The endpoint as last registered."""
        return self._worker.endpoint

    def renew(self, endpoint: WebhookEndpoint) -> bool:
        """Use a new secret; return True if nothing else has changed."""
        former = self._worker.endpoint
        if msgspec.structs.replace(former, secrets=endpoint.secrets) != endpoint:
            return False
        self._worker.endpoint = endpoint
        return True

    async def load_deferred(self) -> None:
        """Load messages that were replayed."""
        await self._worker.load_deferred()

    async def stop(self) -> None:
        """Stop the worker and its deliveries."""
        await cancel_tasks(self._task)

    async def _run(self) -> None:
        try:
            while True:
                try:
                    return await self._worker.run()
                except Exception:
                    log.exception("webhook %s broke down", self.endpoint.id)
                    await asyncio.sleep(RETRY_PAUSE_S)
        finally:
            await self._http.close()


class Dispatcher:
    """Runs endpoint workers while this process holds the lease.

    `admin` has the endpoints of this process's herald.toml, besides those in the store.
    """

    def __init__(
        self,
        admin: WebhookAdmin,
        store: Store,
        hub: Hub,
        node: str,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._admin = admin
        self._policy = policy or RetryPolicy()
        self._repository = WebhookRepository(store)
        # Two processes may have the same name in a container.
        self._lease = Lease(store, LEASE_NAME, f"{node}-{uuid4().hex[:8]}")
        self._workers: dict[str, RunningWorker] = {}
        self._calls: dict[str, bytes] = {}
        self._tls: ssl.SSLContext | None = None
        self._renewed = 0.0

    async def run(self) -> None:
        """Run until cancelled."""
        async with self._lease:
            try:
                while True:
                    await self._check_safely()
                    await self._wait_for_work()
            finally:
                # While the lease is held: they store their positions.
                await self._stop(list(self._workers))

    async def _check_safely(self) -> None:
        try:
            await self._run_once()
        except StoreError as error:
            log.debug("webhooks are looked at later: %s", error)
        except Exception:  # or no endpoint would get anything any more
            log.exception("webhooks are looked at later")
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _wait_for_work(self) -> None:
        """Wait until the endpoints may have changed."""
        try:
            async with asyncio.timeout(POLL_INTERVAL_S):
                await self._admin.changed.wait()
        except TimeoutError:
            pass
        self._admin.changed.clear()

    async def _run_once(self) -> None:
        if not self._lease.is_held:
            await self._stop(list(self._workers))
            return
        registered = await self._repository.read_endpoints()
        await self._renew_endpoints(registered)
        wanted = {
            one.id: one for one in (*registered, *self._admin.static_endpoints.values())
        }
        gone = [id_ for id_ in self._workers if id_ not in wanted]
        await self._stop(gone)
        for id_ in gone:
            await self._repository.delete_all_about(id_)
        for endpoint in wanted.values():
            await self._start(endpoint)
        await self._load_deferred()

    async def _start(self, endpoint: WebhookEndpoint) -> None:
        running = self._workers.get(endpoint.id)
        if running is not None:
            if running.renew(endpoint):
                return
            await self._stop([endpoint.id])
        # Imported here: without an endpoint no process needs their HTTP client.
        import httpcore2

        from herald_server.webhooks.delivery.endpoint_worker import (
            MAX_PARALLEL,
            EndpointWorker,
        )
        from herald_server.webhooks.delivery.http_sender import HttpSender

        if self._tls is None:
            # Reads the system's certificates, so not on the event loop.
            self._tls = await asyncio.to_thread(httpcore2.default_ssl_context)
        sender = HttpSender(self._admin.guard, MAX_PARALLEL, self._tls)
        worker = EndpointWorker(
            endpoint,
            self._store,
            self._hub,
            sender,
            lambda: self._lease.is_held,
            self._policy,
        )
        self._workers[endpoint.id] = RunningWorker(worker, sender)

    async def _load_deferred(self) -> None:
        calls = await self._repository.read_calls()
        for id_, call in calls.items():
            if self._calls.get(id_) != call and id_ in self._workers:
                await self._workers[id_].load_deferred()
        self._calls = calls

    async def _renew_endpoints(self, registered: Sequence[WebhookEndpoint]) -> None:
        """Extend the retention of endpoints, once a day."""
        now = asyncio.get_running_loop().time()
        if self._renewed and now - self._renewed < DAY_S:
            return
        for endpoint in registered:
            await self._repository.renew(endpoint.id)
        self._renewed = now

    async def _stop(self, ids: Sequence[str]) -> None:
        workers = [self._workers.pop(id_) for id_ in ids]
        await asyncio.gather(*(worker.stop() for worker in workers))


@asynccontextmanager
async def run_dispatcher(
    admin: WebhookAdmin,
    store: Store,
    hub: Hub,
    node: str,
    policy: RetryPolicy | None = None,
) -> AsyncGenerator[None]:
    """Run the dispatcher while the block runs."""
    async with run_in_background(Dispatcher(admin, store, hub, node, policy).run()):
        yield
