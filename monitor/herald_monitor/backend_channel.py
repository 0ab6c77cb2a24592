"""What a Redis result backend publishes whenever a result is stored.

Each store is `PUBLISH celery-task-meta-<id> <meta>` (celery/backends/redis.py),
so this hears endings and `update_state` of tasks that send no events at all.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any, TypeAlias, cast

from celery import Celery
from redis import RedisError

from herald_monitor.backend_link import (
    Payloads,
    backend_name,
    backend_of,
    connection_options,
)
from herald_monitor.backend_stream import BackendStream, Published
from herald_monitor.errors import BadEvent, HeraldError
from herald_monitor.meta import Redact, read_meta
from herald_monitor.model.events import Event
from herald_monitor.project_options import project_options
from herald_monitor.redis_results import RedisResults, glob
from herald_monitor.refusals import refusal_of

logger = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[list[Event]], None]
LostTouch: TypeAlias = Callable[[float, float, str], None]
SetAside: TypeAlias = Callable[[bytes, str], None]

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5
"""Seconds between two tries to connect; what is published meanwhile is missed."""

HOLD = 0.025
"""Seconds for which results are held. A worker stores a result a millisecond
before it says so in an event; stored together they are one change, not two."""

REMEMBERED = 20_000
"""Ids of tasks that are known to be of our database."""

A_MICROSECOND = 1e-6


class BackendSilent(ConnectionError):
    """The backend does not even answer a PING."""


class BackendChannel:
    """The listener to `app`'s Redis result backend, on the running loop.

    `deliver(events)` gets what was stored, in order; `lost_touch(since, until,
    reason)` is told after each reconnect, before what is heard next;
    `poison(body, reason)` gets what cannot be read. They must return quickly.

    Pub/sub knows no databases: publications of tasks that the backend's own
    database does not hold are those of others, and are left out.
    """

    def __init__(
        self,
        app: Celery,
        *,
        deliver: Deliver,
        lost_touch: LostTouch,
        poison: SetAside,
        redact: Redact = str,
        probe_every: float = 5.0,
    ) -> None:
        self.connected = False
        self.messages = 0
        self.poison = 0
        self.foreign = 0
        self.reconnects = 0
        self._app = app
        self._deliver = deliver
        self._lost_touch = lost_touch
        self._on_poison = poison
        self._options = project_options(app)
        self._redact = redact
        self._probe_every = probe_every
        self._running: asyncio.Task[None] | None = None
        self._held: list[Event] = []
        self._some = asyncio.Event()
        self._ours: dict[str, None] = {}
        self._good_at: float | None = None
        self._heard_at = 0.0
        self._tries = 0
        self._trouble = ""

    def start(self) -> None:
        """Listen, and go on listening, until `stop`."""
        self._running = asyncio.create_task(self._run(), name="backend-channel")

    async def stop(self) -> None:
        """Stop at once; what was heard is delivered."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._hear_once()
            except HeraldError as error:
                self._note(str(error))
            except (RedisError, OSError, TimeoutError) as error:
                cause = refusal_of(error, "HERALD_RESULT_BACKEND")
                self._note(f"{cause.why}; {cause.advice}")
            except Exception as error:  # any library's error, and any stay away
                logger.exception("The result backend's channel broke")
                self._note(type(error).__name__)
            await asyncio.sleep(self._pause())

    async def _hear_once(self) -> None:
        """Go through the life of one connection."""
        backend = backend_of(self._app)
        kind, options = await connection_options(backend)
        stream = BackendStream(kind(**options))
        results = RedisResults(backend, lambda _: None)
        try:
            early = await stream.open(glob(backend.task_keyprefix))
            self._settle_in(backend)
            reading = _Reading(backend, self._redact, self._set_aside)
            self._hold(reading.events(early))
            await _first_of(
                self._read(stream, reading),
                self._watch(stream),
                self._hand_over(results),
            )
        finally:
            self.connected = False
            await stream.close()
            await results.close()

    def _settle_in(self, backend: Any) -> None:
        """Announce the gap, if there was one."""
        now = time.time()
        if self._good_at is not None:
            self.reconnects += 1
            self._lost_touch(self._good_at, now, self._trouble or "it was cut")
        if self._trouble:
            logger.info("Hearing results from %s again.", backend_name(backend))
        self._trouble = ""
        self._good_at, self._heard_at = now, time.monotonic()
        self.connected = True

    async def _read(self, stream: BackendStream, reading: _Reading) -> None:
        while True:
            published = await stream.read()
            self._good_at, self._heard_at = time.time(), time.monotonic()
            self._tries = 0
            self.messages += len(published)
            self._hold(reading.events(published))

    def _hold(self, events: list[Event]) -> None:
        if events:
            self._held += events
            self._some.set()

    async def _watch(self, stream: BackendStream) -> None:
        """Raise when nothing comes, not even the answer to a PING."""
        seen, pinged = self._heard_at, False
        options = self._options.generation
        while True:
            await asyncio.sleep(self._probe_every / 2)
            self._options.raise_if_newer_than(options)
            if self._heard_at != seen:
                seen, pinged = self._heard_at, False
            elif pinged:
                raise BackendSilent(f"no answer for {time.monotonic() - seen:.1f} s")
            else:
                stream.ping()
                pinged = True

    async def _hand_over(self, results: RedisResults) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(HOLD)
            held, self._held = self._held, []
            self._some.clear()
            try:
                own = await self._own(held, results)
            except BaseException:
                # For the next connection: nothing that was heard is lost.
                self._held = held + self._held
                self._some.set()
                raise
            if own:
                self._deliver(own)

    async def _own(self, held: list[Event], results: RedisResults) -> list[Event]:
        """Leave out what was published from other databases of the server."""
        new = {e.task_id for e in held if e.task_id not in self._ours}
        if new:
            self._ours.update(dict.fromkeys(await results.known(list(new))))
        own = [event for event in held if event.task_id in self._ours]
        self.foreign += len(held) - len(own)
        for old in list(islice(self._ours, max(len(self._ours) - REMEMBERED, 0))):
            del self._ours[old]
        return own

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning(
                "Cannot hear results (%s); trying again until it works.", trouble
            )
        self._trouble = trouble

    def _pause(self) -> float:
        longest = min(FIRST_PAUSE * 2.0**self._tries, LONGEST_PAUSE)
        self._tries = min(self._tries + 1, 10)
        return longest * random.uniform(0.5, 1.0)

    def _set_aside(self, body: bytes, reason: str) -> None:
        self.poison += 1
        self._on_poison(body, reason)


class _Reading:
    """Reads what one backend publishes."""

    def __init__(self, backend: Any, redact: Redact, set_aside: SetAside) -> None:
        self._payloads = Payloads(backend)
        self._skip = len(cast(bytes, backend.task_keyprefix))
        self._redact = redact
        self._set_aside = set_aside

    def events(self, published: list[Published]) -> list[Event]:
        """Return what was published as events that arrive now, one after another."""
        heard = time.time()
        events: list[Event] = []
        for channel, body in published:
            # Of two states stored in one moment the later one counts.
            heard += A_MICROSECOND
            try:
                task_id = channel[self._skip :].decode()
                meta = self._payloads.read(body)
                event = read_meta(meta, task_id, heard, self._redact)
            except (BadEvent, UnicodeDecodeError) as error:
                self._set_aside(body, str(error))
            else:
                if event is not None:
                    events.append(event)
        return events


async def _first_of(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run `jobs` until one of them raises, and raise that."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
