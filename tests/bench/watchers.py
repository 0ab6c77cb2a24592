"""Thousands of WebSocket clients in one process, each of which checks what it receives.

`python -m tests.bench.watchers WS STORE --number N --kind KIND` prints `ready` once
all have their snapshots; after a line on standard input it waits until each has
what the store has, and prints what they heard as JSON. Frames are taken apart by
hand: a usual client would cost more than the server that is measured.
"""

import argparse
import asyncio
import base64
import datetime
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec

from herald_core.model.filters import parse_filter
from herald_core.store.ports import Store
from herald_core.store.redis.store import RedisStore
from tests.bench.traffic import SPREAD, make_name
from tests.support.herald.process import TOKEN
from tests.support.journal import Journal
from tests.support.store.labs import walk
from tests.support.validators import complaints

JOURNALS = 20
"""Watchers whose whole story is kept, and checked by all validators."""

AT_ONCE = 50
"""Handshakes under way at a time."""

LATE = 10.0
"""Seconds after the last event in which all must have everything."""

Wish = dict[str, Any]


def one_percent(number: int) -> Wish:
    """Return a filter that fits one task in a hundred, of four kinds in turn."""
    value = number // 4 % SPREAD
    kinds: list[Wish] = [
        {"name": make_name(value)},
        {"name": f"shop.{value}.*"},
        {"worker": f"celery@worker-{value}"},
        {"queue": f"q{value}"},
    ]
    return kinds[number % 4]


KINDS: dict[str, Callable[[int], Wish]] = {
    "one percent": one_percent,
    "everything": lambda number: {},
    "one id": lambda number: {"ids": "the-one"},
}


SHARE = "share"


def share(number: int, watchers: int, names: int) -> Wish:
    """Return the filter of one of so many that share all names among them."""
    return {"name": [make_name(at) for at in range(number, names, watchers)]}


class _Image(msgspec.Struct, gc=False):
    id: str
    rev: str = ""
    updated_at: str = ""


class _Frame(msgspec.Struct, gc=False):
    type: str
    id: str = ""
    put: list[_Image] = []
    gone: list[str] = msgspec.field(default_factory=list[str], name="del")
    cursor: str = ""
    reset: str = ""
    code: int | str = 0


_frame = msgspec.json.Decoder(_Frame)
_moment = msgspec.json.Decoder(list[float])


def _place(rev: str) -> tuple[int, int, int]:
    epoch, _, rest = rev.partition("-")
    n, _, field = rest.partition(".")
    return int(epoch), int(n), int(field or 0)


class WatchResult:
    """What all of them received."""

    def __init__(self) -> None:
        self.late: list[float] = []
        """Seconds from an event to the frame with its change."""
        self.changes = 0
        self.frames = 0
        self.bytes = 0
        self.complaints: list[str] = []
        self.closes: dict[int, int] = {}
        self.resets: dict[str, int] = {}


class Watcher(asyncio.Protocol):
    """One client. `checked` ones are read in full, the others only counted."""

    def __init__(self, ws: str, wish: Wish, heard: WatchResult, checked: bool) -> None:
        self._ws = urlsplit(ws)
        self.wish = wish
        self._heard = heard
        self._checked = checked
        self._rest = b""
        self._open = False
        self._begun = False
        self._cursor = (0, 0, 0)
        self._since = ""
        self.items: dict[str, str] = {}
        self.journal: Journal | None = None
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self._ws.path} HTTP/1.1",
            f"Host: {self._ws.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Protocol: herald.v1",
            f"Authorization: Bearer {TOKEN}",
        ]
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def _say(self, opcode: int, said: bytes) -> None:
        size = len(said)
        head = bytes([opcode, 0x80 | size]) if size < 126 else b""
        head = head or bytes([opcode, 0xFE, size >> 8, size & 255])
        self._transport.write(head + b"\0\0\0\0" + said)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._open:
            head, _, data = data.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open = True
            wish = {"type": "subscribe", "id": "s", "filter": self.wish}
            if self._since:
                wish["since"] = self._since
            self._say(0x81, json.dumps(wish).encode())
        at = 0
        while (found := _split(data, at)) is not None:
            opcode, begin, at = found
            self._take(opcode, data[begin:at])
        self._rest = data[at:]

    def break_off(self) -> None:
        """Vanish, to come back by another connection."""
        self._transport.abort()
        self._rest, self._open, self._begun = b"", False, bool(self._since)
        self.ready = asyncio.get_running_loop().create_future()
        if self.journal is not None:
            self.journal.open()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._open and not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed too early"))

    def _take(self, opcode: int, said: bytes) -> None:
        if opcode == 0x9:
            self._say(0x8A, said)
        elif opcode == 0x8:
            code = int.from_bytes(said[:2], "big")
            self._heard.closes[code] = self._heard.closes.get(code, 0) + 1
        elif self._checked or not self.ready.done():
            self._read(said)
        else:
            self._heard.frames += 1
            self._heard.bytes += len(said)
            self._heard.changes += said.count(b'"rev":"')

    def _read(self, said: bytes) -> None:
        now = time.time()
        frame = _frame.decode(said)
        if self.journal is not None:
            self.journal.hear(msgspec.json.decode(said), now)
        if frame.type == "error":
            self._heard.complaints.append(said.decode())
        if frame.reset:
            reason = frame.reset
            self._heard.resets[reason] = self._heard.resets.get(reason, 0) + 1
            self.items.clear()
            self._cursor, self._since, self._begun = (0, 0, 0), "", True
        elif frame.type == "data" and self.ready.done():
            self._heard.frames += 1
            self._heard.bytes += len(said)
            self._heard.changes += len(frame.put)
            self._time(frame, now)
        self._apply(frame)
        if frame.cursor and self._begun and not self.ready.done():
            self.ready.set_result(None)

    def _time(self, frame: _Frame, now: float) -> None:
        for image in frame.put:
            self._heard.late.append(now - _unix(image.updated_at))

    def _apply(self, frame: _Frame) -> None:
        ids = {image.id for image in frame.put} | set(frame.gone)
        if len(ids) != len(frame.put) + len(frame.gone):
            self._complain(f"an id stands twice in a frame at {frame.cursor}")
        for image in frame.put:
            known = self.items.get(image.id)
            if known is not None and _place(image.rev) <= _place(known):
                self._complain(f"{image.id} went from {known} to {image.rev}")
            self.items[image.id] = image.rev
        for id_ in frame.gone:
            self.items.pop(id_, None)
        if frame.cursor:
            cursor = _place(frame.cursor)
            if cursor < self._cursor:
                self._complain(f"the cursor went back to {frame.cursor}")
            self._cursor, self._since = cursor, frame.cursor

    def _complain(self, said: str) -> None:
        self._heard.complaints.append(f"{self.wish}: {said}")


def _split(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return opcode, begin and end of the frame at `at`, if it is whole."""
    if len(data) < at + 2:
        return None
    opcode, size, begin = data[at] & 15, data[at + 1], at + 2
    if size == 126:
        size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
    elif size == 127:
        size, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
    return (opcode, begin, begin + size) if begin + size <= len(data) else None


_days: dict[str, float] = {}


def _unix(moment: str) -> float:
    """Return RFC 3339 in UTC with milliseconds as seconds; a minute is parsed once."""
    minute = moment[:17]
    known = _days.get(minute)
    if known is None:
        whole = datetime.datetime.fromisoformat(minute + "00+00:00")
        known = _days[minute] = whole.timestamp()
    return known + float(moment[17:-1])


class WatcherGroup:
    """All the clients of this process."""

    def __init__(self, ws: str, store: Store, journals: int = JOURNALS) -> None:
        self._ws = ws
        self._store = store
        self._journals = journals
        self.heard = WatchResult()
        self.all: list[Watcher] = []
        self._checked: list[Watcher] = []
        self._deaf: list[asyncio.Transport] = []

    async def join(self, number: int, kind: str, checked: int) -> None:
        """Connect `number` more; each `checked`-th is read in full (0: none)."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(index: int) -> None:
            async with room:
                is_checked = checked > 0 and index % checked == 0
                await self._one(KINDS[kind](index), is_checked)

        await asyncio.gather(*(one(index) for index in range(number)))

    async def _one(self, wish: Wish, checked: bool) -> None:
        loop = asyncio.get_running_loop()
        place = urlsplit(self._ws)
        host, port = place.hostname or "", place.port or 0
        watcher = Watcher(self._ws, wish, self.heard, checked)
        if (
            checked
            and sum(w.journal is not None for w in self._checked) < self._journals
        ):
            watcher.journal = Journal("s")
            watcher.journal.open()
        await loop.create_connection(lambda: watcher, host, port)
        await watcher.ready
        self.all.append(watcher)
        if checked:
            self._checked.append(watcher)

    async def come_back(self) -> None:
        """Break all connections off, and come back all at the same moment."""
        place = urlsplit(self._ws)
        host, port = place.hostname or "", place.port or 0
        loop = asyncio.get_running_loop()
        for watcher in self.all:
            watcher.break_off()

        async def again(watcher: Watcher) -> None:
            await loop.create_connection(lambda: watcher, host, port)
            await watcher.ready

        await asyncio.gather(*map(again, self.all))

    def leave(self) -> None:
        """Let all go."""
        for watcher in self.all:
            watcher.break_off()

    async def deafen(self, number: int) -> None:
        """Connect `number` more that watch everything and read nothing."""
        loop = asyncio.get_running_loop()
        place = urlsplit(self._ws)
        for _ in range(number):
            watcher = Watcher(self._ws, {}, self.heard, False)

            def give(one: Watcher = watcher) -> Watcher:
                return one

            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            raw.connect((place.hostname, place.port))
            raw.setblocking(False)
            line, _ = await loop.create_connection(give, sock=raw)
            await watcher.ready
            line.pause_reading()
            self._deaf.append(line)

    async def agree(self) -> None:
        """Wait until every checked one has what the store has, and check it all."""
        if not self._checked:
            return
        truths = await self._truths()
        until = time.monotonic() + LATE
        while differing := [w for w in self._checked if w.items != truths[_key(w)]]:
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.05)
            truths = await self._truths()
        for watcher in differing:
            self.heard.complaints.append(f"{watcher.wish}: ends with another state")
        for watcher in self._checked:
            if watcher.journal is not None:
                self.heard.complaints += complaints(
                    watcher.journal, final=truths[_key(watcher)]
                )

    async def _truths(self) -> dict[str, dict[str, str]]:
        """Return for each filter what the store has: id → rev."""
        tasks = await walk(self._store, parse_filter({}))
        wishes = {_key(w): parse_filter(w.wish) for w in self._checked}
        return {
            key: {t.id: t.rev or "" for t in tasks if filter_.matches(t)}
            for key, filter_ in wishes.items()
        }


def _key(watcher: Watcher) -> str:
    return json.dumps(watcher.wish)


def _marks(late: list[float]) -> dict[str, float]:
    late.sort()
    if not late:
        return {}
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        name: round(1000 * late[min(int(len(late) * q), len(late) - 1)], 1)
        for name, q in at.items()
    }


async def main(given: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    KINDS[SHARE] = partial(share, watchers=given.number, names=given.names)
    store = RedisStore(given.store)
    await store.open()
    crowd = WatcherGroup(given.ws, store, given.journals)
    await crowd.join(given.number, given.kind, given.checked)
    await crowd.deafen(given.deaf)
    gc.collect()
    gc.freeze()
    gc.disable()
    heard, begun = crowd.heard, time.process_time()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    used = time.process_time() - begun
    await crowd.agree()
    told: dict[str, Any] = {
        "changes": heard.changes,
        "frames": heard.frames,
        "bytes": heard.bytes,
        "late": _marks(heard.late),
        "complaints": heard.complaints[:10],
        "complained": len(heard.complaints),
        "closes": heard.closes,
        "resets": heard.resets,
        "cpu": used,
    }
    print(json.dumps(told), flush=True)
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ws")
    parser.add_argument("store")
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--kind", choices=[*KINDS, SHARE], default="one percent")
    parser.add_argument("--names", type=int, default=SPREAD)
    parser.add_argument("--checked", type=int, default=1)
    parser.add_argument("--journals", type=int, default=JOURNALS)
    parser.add_argument("--deaf", type=int, default=0)
    asyncio.run(main(parser.parse_args()))
