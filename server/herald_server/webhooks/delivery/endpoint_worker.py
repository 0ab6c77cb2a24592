"""Deliver to one endpoint from its cursor on: send, retry, give up.

At least once: the cursor moves past a change only when it was accepted, given up, or
stored as deferred. Messages accepted after the cursor was last stored are sent again by
the process that takes over, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from herald_core.errors import StoreError
from herald_core.model.cursor import START
from herald_core.model.vector_cursor import parse_any_cursor
from herald_core.store.ports import Store
from herald_core.system.cancellation import cancel_tasks
from herald_server.push.log.hub import Hub
from herald_server.webhooks.circuit_breaker import CLOSED, OPEN, CircuitBreaker
from herald_server.webhooks.delivery.http_sender import (
    HTTP_GONE,
    HttpResult,
    HttpSender,
)
from herald_server.webhooks.delivery.log_feeder import LogFeeder
from herald_server.webhooks.delivery_queue import DeliveryQueue
from herald_server.webhooks.endpoint import WebhookEndpoint
from herald_server.webhooks.endpoint_stats import EndpointStats
from herald_server.webhooks.message import MEDIA_TYPES, WebhookMessage
from herald_server.webhooks.repository import (
    EndpointState,
    WebhookRepository,
    retry_forever,
)
from herald_server.webhooks.retry_policy import RetryPolicy, parse_retry_after
from herald_server.webhooks.signing import sign_headers

log = logging.getLogger(__name__)

MAX_PARALLEL = 8
"""Concurrent messages to one endpoint."""

SAVE_INTERVAL_S = 0.3
STORE_RETRY_S = 0.25
"""Seconds after which a process without the lease checks again."""

LAST_SAVE_TIMEOUT_S = 0.5
"""Seconds that the store gets at the end: a server stops within five."""


class EndpointWorker:
    """Delivers to one endpoint while `is_leader` returns True."""

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        store: Store,
        hub: Hub,
        sender: HttpSender,
        is_leader: Callable[[], bool],
        policy: RetryPolicy,
    ) -> None:
        self.endpoint = endpoint
        self._store = store
        self._hub = hub
        self._http = sender
        self._is_leader = is_leader
        self._policy = policy
        self._repository = WebhookRepository(store)
        self._breaker = CircuitBreaker(policy)
        self._queue = DeliveryQueue(START)
        self._stats = EndpointStats(EndpointState())
        self._wake = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled, or until the endpoint is disabled."""
        await retry_forever(self._resume)
        try:
            async with asyncio.TaskGroup() as tasks:
                work = [
                    tasks.create_task(self._make_feeder().run()),
                    tasks.create_task(self._send_loop()),
                    tasks.create_task(self._save_loop()),
                ]
                await self._stats.disabled.wait()
                for one in work:
                    one.cancel()
        finally:
            await cancel_tasks(*self._in_flight)
            await self._save_at_end()

    def _make_feeder(self) -> LogFeeder:
        return LogFeeder(
            self.endpoint,
            self._store,
            self._hub,
            self._queue,
            on_added=self._wake.set,
            on_reset=self._stats.record_reset,
        )

    async def _resume(self) -> None:
        """Continue from the stored state."""
        state = await self._repository.read_state(self.endpoint.id)
        if state is None:
            state = EndpointState(cursor=str(await self._store.read_end()))
            await self._repository.put_state(self.endpoint.id, state)
        self._stats = EndpointStats(state, self.endpoint.revived_at)
        self._queue = DeliveryQueue(parse_any_cursor(state.cursor))
        await self.load_deferred()

    async def load_deferred(self) -> None:
        """Load the deferred messages of the store."""
        deferred = await self._repository.read_deferred(self.endpoint.id)
        for message in deferred:
            # Time without an attempt does not count.
            message.since = 0.0
        self._queue.add_deferred(deferred)
        self._wake.set()

    # -- sending --------------------------------------------------------------------

    async def _send_loop(self) -> None:
        while True:
            self._wake.clear()
            while self._can_send() and (message := self._queue.take(time.monotonic())):
                task = asyncio.create_task(self._deliver(message))
                self._in_flight.add(task)
                task.add_done_callback(self._on_delivered)
            await self._wait_until_due()

    def _can_send(self) -> bool:
        now, due = time.monotonic(), self._queue.find_next_due_time()
        if due is None or due > now or len(self._in_flight) >= MAX_PARALLEL:
            return False
        # The breaker is asked last: its permission is for one probe.
        return self._is_leader() and self._breaker.try_acquire(now)

    def _on_delivered(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("webhook %s failed", self.endpoint.id, exc_info=task.exception())

    async def _wait_until_due(self) -> None:
        """Wait until there may be something to send."""
        try:
            async with asyncio.timeout(self._compute_pause()):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _compute_pause(self) -> float | None:
        """Return the seconds until something may be sent; None: wait for an event."""
        due = self._queue.find_next_due_time()
        if due is None or len(self._in_flight) >= MAX_PARALLEL:
            return None
        if not self._is_leader():
            return STORE_RETRY_S
        if self._breaker.state == OPEN:
            due = max(due, self._breaker.until)
        elif self._breaker.is_waiting:
            return None  # for what the probes come to
        return max(due - time.monotonic(), 0.0)

    async def _deliver(self, message: WebhookMessage) -> None:
        now = time.time()
        headers = {
            "content-type": MEDIA_TYPES[self.endpoint.format],
            "user-agent": "celery-herald",
            **sign_headers(
                message.id, now, message.body, self.endpoint.list_signing_secrets(now)
            ),
        }
        answer = await self._http.post(self.endpoint.url, headers, message.body)
        if answer.is_accepted:
            await self._on_accepted(message)
        elif answer.status == HTTP_GONE:
            self._stats.disable("it answered 410 Gone", time.time())
        else:
            await self._on_failed(message, answer)

    async def _on_accepted(self, message: WebhookMessage) -> None:
        self._breaker.on_success()
        self._stats.record_accepted(time.time())
        if message.id in self._queue.deferred:
            await retry_forever(
                lambda: self._repository.delete_deferred(self.endpoint.id, message.id)
            )
        self._queue.remove(message)

    async def _on_failed(self, message: WebhookMessage, answer: HttpResult) -> None:
        now, mono = time.time(), time.monotonic()
        # While everything fails, a message is dropped only for its age.
        message.attempts += 1 if self._breaker.state == CLOSED else 0
        message.since = message.since or now
        message.why = answer.description
        self._stats.record_failed(now, answer.description)
        self._breaker.on_failure(mono, random.random())
        retry_after = parse_retry_after(answer.retry_after, now)
        if retry_after:
            self._breaker.open_until(mono + retry_after)
        if self._policy.is_exhausted(message.attempts, now - message.since):
            await self._give_up(message)
            return
        if message.id not in self._queue.deferred:
            await self._defer(message)
        pause = self._policy.compute_pause(max(message.attempts, 1), random.random())
        self._queue.retry(message, mono + max(pause, retry_after))

    async def _give_up(self, message: WebhookMessage) -> None:
        await retry_forever(
            lambda: self._repository.put_dead(self.endpoint.id, message)
        )
        self._stats.given_up += 1
        self._queue.remove(message)

    # -- stored state -------------------------------------------------------------

    async def _defer(self, message: WebhookMessage) -> None:
        """Store a message as deferred, so that the cursor can move on."""
        id_ = self.endpoint.id
        await retry_forever(lambda: self._repository.put_deferred(id_, message))
        if message.id in self._queue:
            self._queue.defer(message)
        else:  # accepted meanwhile
            await retry_forever(
                lambda: self._repository.delete_deferred(id_, message.id)
            )

    async def _save_loop(self) -> None:
        while True:
            await asyncio.sleep(SAVE_INTERVAL_S)
            for message in self._queue.list_behind_deferred():
                await self._defer(message)
            await self._save_state()

    async def _save_at_end(self) -> None:
        try:
            async with asyncio.timeout(LAST_SAVE_TIMEOUT_S):
                await self._save_state()
        except TimeoutError:
            log.debug("webhook %s: the store does not answer", self.endpoint.id)

    async def _save_state(self) -> None:
        """Store the state, if it has changed."""
        state = self._stats.find_unsaved(self._queue, self._breaker, time.time())
        if state is None or not self._is_leader():
            return
        try:
            await self._repository.put_state(self.endpoint.id, state)
            self._stats.on_saved(state)
        except StoreError as error:
            log.debug("webhook %s: %s", self.endpoint.id, error)
