"""A client of the event stream, as the standard has it: it writes all down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

import httpx2

from tests.support.herald.uvicorn_server import TOKEN
from tests.support.journal import Journal
from tests.support.wait import wait_until_async


class Event(NamedTuple):
    """An event: its name, the id that it left behind, and its frame."""

    name: str
    id: str
    frame: dict[str, Any]


class Stream:
    """An open stream. `last_id` is what a browser would come back with."""

    def __init__(self, answer: httpx2.Response, journal: Journal) -> None:
        self.answer = answer
        self.events: list[Event] = []
        self.comments = 0
        self.retry: int | None = None
        self.last_id = ""
        self.ended = False
        self._journal = journal
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        fields: dict[str, str] = {}
        with contextlib.suppress(httpx2.TransportError):
            async for line in self.answer.aiter_lines():
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    key, _, value = line.partition(":")
                    fields[key] = value.removeprefix(" ")
                else:
                    self._take(fields)
                    fields = {}
        self.ended = True

    def _take(self, fields: dict[str, str]) -> None:
        self.last_id = fields.get("id", self.last_id)
        if "retry" in fields:
            self.retry = int(fields["retry"])
        if "data" not in fields:
            return
        frame: dict[str, Any] = json.loads(fields["data"])
        self.events.append(Event(fields["event"], self.last_id, frame))
        # One subscription a stream: whatever comes is about it.
        self._journal.acknowledge()
        self._journal.hear(frame, time.monotonic())

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the frames of the events called `name`."""
        return [event.frame for event in self.events if event.name == name]

    async def heard(self, name: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many events called `name`; return the frames of all."""
        await wait_until_async(
            lambda: len(self.of(name)) >= number, message=f"{number} {name}"
        )
        return self.of(name)

    async def closed(self) -> None:
        """Wait for the end of the stream."""
        await wait_until_async(lambda: self.ended, message="the stream ended")

    async def stop(self) -> None:
        """Read no more."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@contextlib.asynccontextmanager
async def streaming(
    url: str,
    query: str = "",
    journal: Journal | None = None,
    last_id: str = "",
) -> AsyncGenerator[Stream]:
    """Open the stream of the Herald at `url`, for the length of the block."""
    journal = journal or Journal("events")
    journal.open()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    async with (
        httpx2.AsyncClient(timeout=30) as http,
        http.stream("GET", f"{url}events?{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        stream = Stream(answer, journal)
        try:
            yield stream
        finally:
            await stream.stop()
