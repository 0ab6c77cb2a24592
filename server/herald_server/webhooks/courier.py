"""One endpoint, told from its cursor on: what is read, sent, tried again, given up.

At least once: the cursor moves past a change only when it was accepted, given up,
or kept in the store as late. What was accepted after the cursor was stored last is
sent again by whoever takes over, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from herald_monitor.errors import StoreError
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.vector import parse_any_cursor
from herald_monitor.store import Store
from herald_server.hub import Hub
from herald_server.webhooks.backoff import Pace, retry_after
from herald_server.webhooks.breaker import CLOSED, OPEN, Breaker
from herald_server.webhooks.endpoint import Endpoint
from herald_server.webhooks.lanes import Batch, Lanes
from herald_server.webhooks.message import (
    MEDIA_TYPES,
    Message,
    of_change,
    of_image,
    of_reset,
)
from herald_server.webhooks.missed import changed_since
from herald_server.webhooks.posting import GONE, Answer, Poster
from herald_server.webhooks.reading import Broken, Tail
from herald_server.webhooks.register import Register, State, surely
from herald_server.webhooks.signing import signed_headers
from herald_server.webhooks.standing import Standing

log = logging.getLogger(__name__)

PARALLEL = 8
"""Messages under way to one endpoint at a time."""

SAVE_EVERY = 0.3
AWAY = 0.25
"""Seconds after which a process without the lease looks again."""

LAST_WORD = 0.5
"""Seconds that the store gets at the end: a server stops within five."""

GLANCE = 0.05
"""Seconds between two looks whether there is room again."""


class Courier:
    """Tells one endpoint. `held` says whether that is still this process' work."""

    def __init__(
        self,
        endpoint: Endpoint,
        store: Store,
        hub: Hub,
        poster: Poster,
        held: Callable[[], bool],
        pace: Pace,
    ) -> None:
        self.endpoint = endpoint
        self._store = store
        self._hub = hub
        self._poster = poster
        self._held = held
        self._pace = pace
        self._register = Register(store)
        self._breaker = Breaker(pace)
        self._lanes = Lanes(START)
        self._standing = Standing(State())
        self._wake = asyncio.Event()
        self._flying: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Tell until cancelled, or until the endpoint is disabled."""
        await surely(self._resume)
        try:
            async with asyncio.TaskGroup() as tasks:
                work = [
                    tasks.create_task(self._read()),
                    tasks.create_task(self._send()),
                    tasks.create_task(self._save()),
                ]
                await self._standing.disabled.wait()
                for one in work:
                    one.cancel()
        finally:
            for one in self._flying:
                one.cancel()
            await asyncio.gather(*self._flying, return_exceptions=True)
            await self._say_at_last()

    async def _resume(self) -> None:
        """Go on where whoever did this before left off."""
        state = await self._register.state(self.endpoint.id)
        if state is None:
            state = State(cursor=str(await self._store.end()))
            await self._register.put_state(self.endpoint.id, state)
        self._standing = Standing(state, self.endpoint.revived_at)
        self._lanes = Lanes(parse_any_cursor(state.cursor))
        await self.take_late()

    async def take_late(self) -> None:
        """Take up late messages that the store keeps."""
        late = await self._register.late(self.endpoint.id)
        for message in late:
            # Time in which nobody tried is no patience.
            message.since = 0.0
        self._lanes.add_kept(late)
        self._wake.set()

    # -- reading --------------------------------------------------------------------

    async def _read(self) -> None:
        with Tail(self._hub, self._store, self._lanes.cursor) as tail:
            while True:
                await self._room()
                try:
                    entries = await tail.more()
                except StoreError:
                    await asyncio.sleep(random.uniform(0.2, 0.6))
                except Broken as broken:
                    await self._start_over(tail, broken.reason)
                else:
                    for entry in entries:
                        batch = self._lanes.begin(entry.cursor)
                        for change in entry.changes:
                            self._add(of_change(change, self.endpoint), batch)
                        self._lanes.end(batch)
                    self._wake.set()

    def _add(self, message: Message | None, batch: Batch) -> None:
        if message is not None:
            self._lanes.add(message, batch)

    async def _room(self) -> None:
        while not self._lanes.room:  # noqa: ASYNC110 - polled where it is rare
            await asyncio.sleep(GLANCE)

    async def _start_over(self, tail: Tail, reason: str) -> None:
        """Say that changes were missed; then what matches and changed since."""
        since, end = tail.at, await surely(self._store.end)
        log.warning(
            "webhook %s: changes behind %s were missed (%s); it is told so",
            *(self.endpoint.id, since, reason),
        )
        # Holds the cursor until all is told: whoever takes over begins this anew.
        batch = self._lanes.begin(end)
        news = of_reset(self.endpoint, reason, since, end, time.time())
        self._lanes.add(news, batch)
        self._wake.set()
        while news.id in self._lanes:  # noqa: ASYNC110 - polled where it is rare
            await asyncio.sleep(GLANCE)
        await surely(lambda: self._snapshot(batch, since, end))
        self._lanes.end(batch)
        self._standing.resets += 1
        tail.go_on(end)

    async def _snapshot(self, batch: Batch, since: Cursor, end: Cursor) -> None:
        async for task in changed_since(self._store, self.endpoint, since, end):
            await self._room()
            self._lanes.add(of_image(task, self.endpoint), batch)
            self._wake.set()

    # -- sending --------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            while self._may_send() and (message := self._lanes.take(time.monotonic())):
                task = asyncio.create_task(self._deliver(message))
                self._flying.add(task)
                task.add_done_callback(self._landed)
            await self._until_due()

    def _may_send(self) -> bool:
        # The breaker is asked last: its yes is for one probe.
        return (
            len(self._flying) < PARALLEL
            and self._held()
            and self._lanes.next_due() is not None
            and (self._lanes.next_due() or 0.0) <= time.monotonic()
            and self._breaker.lets(time.monotonic())
        )

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("webhook %s failed", self.endpoint.id, exc_info=task.exception())

    async def _until_due(self) -> None:
        """Wait until there may be something to send."""
        try:
            async with asyncio.timeout(self._pause()):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _pause(self) -> float | None:
        """Return the seconds until something may be sent; None: not by itself."""
        due = self._lanes.next_due()
        if due is None or len(self._flying) >= PARALLEL:
            return None
        if not self._held():
            return AWAY
        if self._breaker.state == OPEN:
            due = max(due, self._breaker.until)
        elif self._breaker.waits:
            return None  # for what the probes come to
        return max(due - time.monotonic(), 0.0)

    async def _deliver(self, message: Message) -> None:
        now = time.time()
        headers = {
            "content-type": MEDIA_TYPES[self.endpoint.format],
            "user-agent": "celery-herald",
            **signed_headers(message.id, now, message.body, self.endpoint.signing(now)),
        }
        answer = await self._poster.post(self.endpoint.url, headers, message.body)
        if answer.accepted:
            await self._accepted(message)
        elif answer.status == GONE:
            self._standing.disable("it answered 410 Gone", time.time())
        else:
            await self._failed(message, answer)

    async def _accepted(self, message: Message) -> None:
        self._breaker.accepted()
        self._standing.accepted_at(time.time())
        if message.id in self._lanes.kept:
            await surely(lambda: self._register.drop_late(self.endpoint.id, message.id))
        self._lanes.done(message)

    async def _failed(self, message: Message, answer: Answer) -> None:
        now, mono = time.time(), time.monotonic()
        alone = self._breaker.state != CLOSED
        self._breaker.failed(mono, random.random())
        asked = retry_after(answer.retry_after, now)
        if asked:
            self._breaker.wait(mono + asked)
        self._standing.failed_at(now, answer.sentence)
        message.since = message.since or now
        message.why = answer.sentence
        # While everything fails, a message is given up for its age only.
        message.attempts += 0 if alone else 1
        if self._pace.gives_up(message.attempts, now - message.since):
            await surely(lambda: self._register.put_dead(self.endpoint.id, message))
            self._standing.given_up += 1
            self._lanes.done(message)
            return
        if message.id not in self._lanes.kept:
            await self._keep(message)
        pause = self._pace.pause(max(message.attempts, 1), random.random())
        self._lanes.again(message, mono + max(pause, asked))

    # -- what the store keeps -----------------------------------------------------

    async def _keep(self, message: Message) -> None:
        """Keep a message in the store, so that the cursor need not wait for it."""
        id_ = self.endpoint.id
        await surely(lambda: self._register.put_late(id_, message))
        if message.id in self._lanes:
            self._lanes.keep(message)
        else:  # accepted meanwhile
            await surely(lambda: self._register.drop_late(id_, message.id))

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            for message in self._lanes.behind_kept():
                await self._keep(message)
            await self._say()

    async def _say_at_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORD):
                await self._say()
        except TimeoutError:
            log.debug("webhook %s: the store is away", self.endpoint.id)

    async def _say(self) -> None:
        """Store how far it is, if that is news."""
        state = self._standing.news(self._lanes, self._breaker, time.time())
        if state is None or not self._held():
            return
        try:
            await self._register.put_state(self.endpoint.id, state)
            self._standing.saved(state)
        except StoreError as error:
            log.debug("webhook %s: %s", self.endpoint.id, error)
