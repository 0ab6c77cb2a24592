"""A writer of the outbox: `python -m tests.bench.outbox_publishing URL --tasks N …`.

The lives of N tasks are made once, as entries of the stream, and written `--cycles`
times under ever new ids: so that making them takes none of the time. Without `--rate`
(events a second) it floods. It says `ready`, waits for a line, and tells in the end how
many seconds it took.
"""

import argparse
import base64
import json
import socket
import time
from collections.abc import Iterator
from typing import Any, cast

import hiredis
import msgspec
import redis

from herald_worker.outbox.stream_format import (
    DEFAULT_STREAM,
    EVENTS,
    WRITER,
    choose_stream,
    get_stream_names,
)
from tests.bench.traffic import RawEvent, Traffic

ENTRY_EVENTS = 50
"""Events of an entry: what a busy worker gathers in a hundredth of a second."""

AT_ONCE = 20
"""Entries that are sent together."""

MARK = b"00000000"
"""What each id begins with, until a cycle puts its own number there."""

MAXLEN_ENTRIES = 1_000_000
MAX_UNANSWERED_BYTES = 200_000


def iter_events(tasks: int, seed: int) -> Iterator[RawEvent]:
    """Yield the events of so many tasks, in the order in which they happen."""
    for _, published, _ in Traffic(tasks, seed).messages():
        text = base64.b64decode(_decode_envelope(published)["body"])
        if text[:1] == b"[":
            yield from map(_mark, _decode_list(text))
        else:
            yield _mark(_decode_one(text))


_decode_envelope = msgspec.json.Decoder(dict[str, Any]).decode
_decode_one = msgspec.json.Decoder(RawEvent).decode
_decode_list = msgspec.json.Decoder(list[RawEvent]).decode


def _mark(event: RawEvent) -> RawEvent:
    """Return an event whose ids begin with `MARK`."""
    for key in ("uuid", "root_id", "parent_id"):
        if isinstance(told := event.get(key), str):
            event[key] = MARK.decode() + told[len(MARK) :]
    return event


def pack_parts(
    events: Iterator[RawEvent], streams: int = 1
) -> list[tuple[bytes, int, int]]:
    """Return commands to send together, and how many entries and events they hold."""
    entries = [*_gather(events, streams)]
    return [
        (
            b"".join([_pack(*entry) for entry in entries[at : at + AT_ONCE]]),
            len(entries[at : at + AT_ONCE]),
            sum(len(own) for _, own in entries[at : at + AT_ONCE]),
        )
        for at in range(0, len(entries), AT_ONCE)
    ]


def _gather(
    events: Iterator[RawEvent], streams: int
) -> Iterator[tuple[str, list[RawEvent]]]:
    """Yield entries, each with the name of its stream."""
    names = get_stream_names(DEFAULT_STREAM, streams)
    open_entries: list[list[RawEvent]] = [[] for _ in names]
    for event in events:
        index = choose_stream(str(event.get("uuid")), streams)
        open_entries[index].append(event)
        if len(open_entries[index]) == ENTRY_EVENTS:
            yield names[index], open_entries[index]
            open_entries[index] = []
    for name, left in zip(names, open_entries, strict=True):
        if left:
            yield name, left


def _pack(stream: str, events: list[RawEvent]) -> bytes:
    body = json.dumps(events, separators=(",", ":"))
    trim = ("MAXLEN", "~", str(MAXLEN_ENTRIES))
    words = ("XADD", stream, *trim, "*", EVENTS, body, WRITER, "w/1")
    pack = cast(Any, hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]
    return cast(bytes, pack(words))


class Writer:
    """A connection that only counts the answers: two lines to each entry."""

    def __init__(self, client: redis.Redis) -> None:
        line = cast(Any, client).connection_pool.get_connection()
        self._socket = cast(socket.socket, line._sock)
        self._lines = 0
        self._bytes = 0

    def write(self, part: bytes, entries: int) -> None:
        """Send some entries; wait for answers if many are missing."""
        self._socket.sendall(part)
        self._lines += 2 * entries
        self._bytes += len(part)
        if self._bytes >= MAX_UNANSWERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Return when Redis has taken all entries."""
        while self._lines > 0:
            answers = self._socket.recv(65_536)
            assert answers, "Redis closed the connection"
            assert b"-ERR" not in answers, answers
            assert b"-OOM" not in answers, answers
            self._lines -= answers.count(b"\n")
        self._bytes = 0


def write_all(
    writer: Writer, parts: list[tuple[bytes, int, int]], cycles: int, rate: float
) -> None:
    """Write all parts in each cycle, at a rate if one is given."""
    begin, written = time.perf_counter(), 0
    for cycle in range(1, cycles + 1):
        own = b"%08x" % cycle
        for part, entries, events in parts:
            writer.write(part.replace(MARK, own), entries)
            written += events
            if rate and (ahead := written / rate - (time.perf_counter() - begin)) > 0:
                writer.flush()
                time.sleep(ahead)
    writer.flush()


def main() -> None:
    """Write what the command line asks for; print how long that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--cycles", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--streams", type=int, default=1)
    given = parser.parse_args()
    with redis.Redis.from_url(given.url) as client:
        parts = pack_parts(iter_events(given.tasks, given.seed), given.streams)
        writer = Writer(client)
        print("ready", flush=True)
        input()
        begin = time.perf_counter()
        write_all(writer, parts, given.cycles, given.rate)
        print(json.dumps(time.perf_counter() - begin), flush=True)


if __name__ == "__main__":
    main()
