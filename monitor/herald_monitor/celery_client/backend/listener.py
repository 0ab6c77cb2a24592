"""A listener for results that a Redis result backend publishes.

Each store is `PUBLISH celery-task-meta-<id> <meta>` (celery/backends/redis.py), so this
receives ends and `update_state` of tasks that send no events at all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any, TypeAlias, cast

from celery import Celery
from redis import RedisError

from herald_core.errors import HeraldError, InvalidEvent
from herald_core.model.events.event import Event
from herald_core.system.backoff import Backoff
from herald_core.system.cancellation import cancel_tasks
from herald_core.system.error_sentences import find_cause
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.backend.connection import (
    MetaDecoder,
    get_backend_name,
    get_connection_options,
    get_result_backend,
)
from herald_monitor.celery_client.backend.pubsub import BackendPubSub, PubSubMessage
from herald_monitor.celery_client.backend.redis_reader import (
    RedisResultReader,
    make_glob,
)
from herald_monitor.celery_client.backend.task_meta import Redact, read_meta

logger = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[list[Event]], None]
OnGap: TypeAlias = Callable[[float, float, str], None]
OnInvalid: TypeAlias = Callable[[bytes, str], None]

FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 0.5
"""Seconds between two tries to connect; what is published meanwhile is missed."""

HOLD_S = 0.025
"""Delay of results in seconds. A worker stores a result a millisecond before its event;
stored together they are one change, not two."""

MAX_REMEMBERED_IDS = 20_000
"""Ids of tasks that are known to be of our database."""

MICROSECOND_S = 1e-6


class BackendTimeout(ConnectionError):
    """The backend does not even answer a PING."""


class ResultListener:
    """The listener to `app`'s Redis result backend, on the running loop.

    `deliver(events)` gets the stored results, in order. `lost_touch(since, until,
    reason)` is called after each reconnect, before the next results. `poison(body,
    reason)` gets invalid messages. They must return quickly.

    Pub/sub ignores database numbers. Publications of tasks that the backend's own
    database does not hold belong to others, and are dropped.
    """

    def __init__(
        self,
        app: Celery,
        *,
        deliver: Deliver,
        lost_touch: OnGap,
        poison: OnInvalid,
        redact: Redact = str,
        probe_every: float = 5.0,
    ) -> None:
        self.connected = False
        self.messages = 0
        self.rejected = 0
        self.foreign = 0
        self.reconnects = 0
        self._app = app
        self._deliver = deliver
        self._on_gap = lost_touch
        self._on_invalid = poison
        self._options = get_project_options(app)
        self._redact = redact
        self._probe_every = probe_every
        self._running: asyncio.Task[None] | None = None
        self._held: list[Event] = []
        self._has_results = asyncio.Event()
        self._own_results: dict[str, None] = {}
        self._good_at: float | None = None
        self._received_at = 0.0
        self._backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        self._trouble = ""

    def start(self) -> None:
        """Listen, and go on listening, until `stop`."""
        self._running = asyncio.create_task(self._run(), name="backend-channel")

    async def stop(self) -> None:
        """Stop at once; received results are delivered."""
        running, self._running = self._running, None
        if running is not None:
            await cancel_tasks(running)

    async def _run(self) -> None:
        while True:
            try:
                await self._run_connection()
            except HeraldError as error:
                self._log_trouble(str(error))
            except (RedisError, OSError, TimeoutError) as error:
                cause = find_cause(error, "HERALD_RESULT_BACKEND")
                self._log_trouble(f"{cause.reason}; {cause.advice}")
            except Exception as error:  # any library's error, and any stay away
                logger.exception("The result backend's channel broke")
                self._log_trouble(type(error).__name__)
            await asyncio.sleep(self._backoff.next_pause())

    async def _run_connection(self) -> None:
        """Go through the life of one connection."""
        backend = get_result_backend(self._app)
        kind, options = await get_connection_options(backend)
        stream = BackendPubSub(kind(**options))
        results = RedisResultReader(backend, lambda _: None)
        try:
            early = await stream.open(make_glob(backend.task_keyprefix))
            self._report_gap(backend)
            reading = _MetaParser(backend, self._redact, self._reject)
            self._hold_back(reading.parse_events(early))
            await _wait_for_first(
                self._read(stream, reading),
                self._watch(stream),
                self._deliver_results(results),
            )
        finally:
            self.connected = False
            await stream.close()
            await results.close()

    def _report_gap(self, backend: Any) -> None:
        """Announce the gap, if there was one."""
        now = time.time()
        if self._good_at is not None:
            self.reconnects += 1
            self._on_gap(self._good_at, now, self._trouble or "it was cut")
        if self._trouble:
            logger.info("Receiving results from %s again.", get_backend_name(backend))
        self._trouble = ""
        self._good_at, self._received_at = now, time.monotonic()
        self.connected = True

    async def _read(self, stream: BackendPubSub, reading: _MetaParser) -> None:
        while True:
            published = await stream.read()
            self._good_at, self._received_at = time.time(), time.monotonic()
            self._backoff.reset()
            self.messages += len(published)
            self._hold_back(reading.parse_events(published))

    def _hold_back(self, events: list[Event]) -> None:
        if events:
            self._held += events
            self._has_results.set()

    async def _watch(self, stream: BackendPubSub) -> None:
        """Raise when nothing comes, not even the answer to a PING."""
        seen, pinged = self._received_at, False
        options = self._options.generation
        while True:
            await asyncio.sleep(self._probe_every / 2)
            self._options.raise_if_newer_than(options)
            if self._received_at != seen:
                seen, pinged = self._received_at, False
            elif pinged:
                raise BackendTimeout(f"no answer for {time.monotonic() - seen:.1f} s")
            else:
                stream.ping()
                pinged = True

    async def _deliver_results(self, results: RedisResultReader) -> None:
        while True:
            await self._has_results.wait()
            await asyncio.sleep(HOLD_S)
            held, self._held = self._held, []
            self._has_results.clear()
            try:
                own = await self._exclude_foreign(held, results)
            except BaseException:
                # For the next connection: no received result is lost.
                self._held = held + self._held
                self._has_results.set()
                raise
            if own:
                self._deliver(own)

    async def _exclude_foreign(
        self, held: list[Event], results: RedisResultReader
    ) -> list[Event]:
        """Drop publications from other databases of the server."""
        new = {e.task_id for e in held if e.task_id not in self._own_results}
        if new:
            self._own_results.update(dict.fromkeys(await results.find_known(list(new))))
        own = [event for event in held if event.task_id in self._own_results]
        self.foreign += len(held) - len(own)
        for old in list(
            islice(
                self._own_results, max(len(self._own_results) - MAX_REMEMBERED_IDS, 0)
            )
        ):
            del self._own_results[old]
        return own

    def _log_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning(
                "Cannot receive results (%s); retrying until it works.", trouble
            )
        self._trouble = trouble

    def _reject(self, body: bytes, reason: str) -> None:
        self.rejected += 1
        self._on_invalid(body, reason)


class _MetaParser:
    """A parser of the publications of one backend."""

    def __init__(self, backend: Any, redact: Redact, set_aside: OnInvalid) -> None:
        self._payloads = MetaDecoder(backend)
        self._skip = len(cast(bytes, backend.task_keyprefix))
        self._redact = redact
        self._on_invalid = set_aside

    def parse_events(self, published: list[PubSubMessage]) -> list[Event]:
        """Return the publications as events that arrive now, one after another."""
        heard = time.time()
        events: list[Event] = []
        for channel, body in published:
            # Of two states stored in one moment the later one counts.
            heard += MICROSECOND_S
            try:
                task_id = channel[self._skip :].decode()
                meta = self._payloads.decode(body)
                event = read_meta(meta, task_id, heard, self._redact)
            except (InvalidEvent, UnicodeDecodeError) as error:
                self._on_invalid(body, str(error))
            else:
                if event is not None:
                    events.append(event)
        return events


async def _wait_for_first(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run `jobs` until one of them raises, and raise that."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_tasks(*tasks)
    for task in done:
        task.result()
