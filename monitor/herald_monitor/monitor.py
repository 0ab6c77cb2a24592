"""A monitor: receiver, backend channel, recorder, and a heart, once a second."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable

import msgspec
from celery import Celery

from herald_monitor.backend_channel import BackendChannel
from herald_monitor.backends import kind_of
from herald_monitor.consumers import broker_name
from herald_monitor.errors import StoreError
from herald_monitor.intake import Intake
from herald_monitor.model.shape import rfc3339
from herald_monitor.receiver import Receiver
from herald_monitor.recorder import Recorder
from herald_monitor.store import MonitorImage, Writer

log = logging.getLogger(__name__)

BEAT_EVERY = 1.0
SWEEP_EVERY = 5.0
STOP_WITHIN = 4.0


class Monitor:
    """Hears the events of `app`'s broker and keeps what they mean in `writer`."""

    def __init__(
        self,
        app: Celery,
        writer: Writer,
        redact: Callable[[str], str] = str,
        node: str | None = None,
        *,
        listen_backend: bool = True,
    ) -> None:
        self.node = node or f"{socket.gethostname()}-{os.getpid()}"
        self._app = app
        self._writer = writer
        self._intake = Intake()
        self._recorder = Recorder(self._intake, writer, redact, self.node)
        self._receiver = Receiver(
            app,
            deliver=self._intake.put,
            lost_touch=self._lost_touch,
            poison=self._recorder.set_aside,
        )
        self._channel = BackendChannel(
            app,
            deliver=self._intake.offer,
            lost_touch=self._lost_backend,
            poison=self._recorder.set_aside,
            redact=redact,
        )
        self._listen_backend = listen_backend
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_at = time.time()

    async def run(self, stop: asyncio.Event) -> None:
        """Monitor until `stop`; then store what was heard, within a few seconds."""
        self._loop = asyncio.get_running_loop()
        self._intake.open(self._loop)
        thread = threading.Thread(
            target=self._receiver.run, name="receiver", daemon=True
        )
        thread.start()
        if self._listen_backend and kind_of(self._app) == "redis":
            self._channel.start()
        tasks = [
            asyncio.create_task(self._recorder.run()),
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._sweep()),
        ]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait(
                [*tasks, stopped], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._receiver.stop()
            await self._channel.stop()
            await asyncio.to_thread(thread.join, 2.0)
            for task in (*tasks, stopped):
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)
        for task in done - {stopped}:
            task.result()
        await self._finish()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(STOP_WITHIN / 2):
                await self._recorder.drain()
        except TimeoutError:
            log.error(
                "%d events could not be stored before the end: %s",
                self._intake.waiting,
                self._recorder.problem or "the store is too slow",
            )

    def _lost_touch(self, since: float, until: float, reason: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(
                self._recorder.open_gap, since, until, reason
            )

    @property
    def listens(self) -> bool:
        """Whether results are heard as they are stored."""
        return self._channel.connected

    def _lost_backend(self, since: float, until: float, reason: str) -> None:
        self._recorder.open_gap(since, until, f"the result backend: {reason}")

    async def _beat(self) -> None:
        while True:
            try:
                await self._writer.beat(self.image(), now=time.time())
            except StoreError as error:
                log.debug("no heartbeat: %s", error)
            await asyncio.sleep(BEAT_EVERY)

    async def _sweep(self) -> None:
        while True:
            try:
                more = await self._writer.sweep(now=time.time()) > 0
            except StoreError:
                more = False
            await asyncio.sleep(0.05 if more else SWEEP_EVERY)

    def image(self) -> MonitorImage:
        """Return what this monitor says about itself."""
        counters = self._recorder.counters
        counted = msgspec.to_builtins(counters)
        heard = counted.pop("last_event_at")
        lag = counted.pop("lag")
        return MonitorImage(
            id=self.node,
            started_at=rfc3339(self._started_at),
            seen_at=rfc3339(time.time()),
            connected=self._receiver.connected,
            broker=broker_name(self._app),
            last_event_at=rfc3339(heard) if heard else None,
            lag_ms=round(lag * 1000),
            waiting=self._intake.waiting,
            counters={
                **counted,
                "dropped": self._intake.dropped,
                "reconnects": self._receiver.reconnects,
                "backend_reconnects": self._channel.reconnects,
            },
        )
