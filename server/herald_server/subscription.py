"""One subscription of a connection: first read, then live. No I/O.

It is first read from the store (a snapshot) or from the log (a replay of what
came since a cursor), then live. The hub offers it changes from before the read
starts, so nothing lies between; what the snapshot holds already is told apart
by its rev.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from herald_monitor.model.changes import Change, Entry
from herald_monitor.model.codec import to_json
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.model.vector import parse_any_cursor
from herald_server import frames
from herald_server.cpu_budget import weight_of
from herald_server.hub import Watcher, concerns
from herald_server.messages import Subscribe

Place = tuple[Cursor, int]
Row = tuple[str, str, bytes, bool]
"""Of a snapshot: id, rev (empty if it has none), JSON, whether it is final."""


class Read(msgspec.Struct, frozen=True, eq=False):
    """Something to be read for `sub`: all of it, or what came `since` a cursor.

    `finals` asks only which of its ids are final already.
    """

    sub: Subscription
    since: Cursor | None = None
    finals: bool = False


MAX_FRAME = 256 * 1024
"""Bytes of images in a frame, unless one alone is longer: many a WebSocket library
takes no message over 1 MiB."""


SHOWN_BYTES = 300
"""What it takes to remember that a task was shown."""


PENDING_BYTES = 100
"""What it takes to remember that a change is pending."""


class Part(NamedTuple):
    """A `data` frame, but for its cursor.

    With this part all that was pending is told up to `until`, where that is known.
    """

    sub: str
    put: list[bytes]
    gone: list[str]
    reset: str = ""
    until: Cursor | None = None

    def bounded(self) -> list[Part]:
        """Return it as parts that are not too long, one after the other."""
        if sum(map(len, self.put)) <= MAX_FRAME:
            return [self]
        parts, room = [Part(self.sub, [], self.gone, self.reset)], MAX_FRAME
        for image in self.put:
            if len(image) > room and parts[-1].put:
                parts.append(Part(self.sub, [], []))
                room = MAX_FRAME
            parts[-1].put.append(image)
            room -= len(image)
        parts[-1] = parts[-1]._replace(until=self.until)
        return parts

    def frame(self, cursor: Cursor | None = None) -> bytes:
        """Return it as bytes."""
        return frames.data(self.sub, self.put, self.gone, cursor, self.reset)


class PartBuilder:
    """Makes parts of changes in order: none is too long, no id is twice in one.

    `resumable`: each change is among them, so a part may say up to where all is told.
    """

    def __init__(self, sub: str, resumable: bool) -> None:
        self.parts: list[Part] = []
        self._sub = sub
        self._resumable = resumable
        self._ids: set[str] = set()
        self._room = 0
        self._last: Cursor | None = None

    def add(self, change: Change, image: bytes | None) -> None:
        """Add a change; `image` is None where its id left the filter or is gone."""
        size = 0 if image is None else len(image)
        place = change.place[0]
        if not self.parts or change.id in self._ids or size > self._room:
            self._begin(place)
        if image is None:
            self.parts[-1].gone.append(change.id)
        else:
            self.parts[-1].put.append(image)
        self._ids.add(change.id)
        self._room -= size
        self._last = place

    def _begin(self, place: Cursor) -> None:
        # A client may resume between two entries of the log, and not within one.
        # A place in one of several partitions is no place in all of them.
        ends = self._last is not None and self._last != place
        if self._resumable and ends and type(place) is Cursor:
            self.parts[-1] = self.parts[-1]._replace(until=self._last)
        self.parts.append(Part(self._sub, [], []))
        self._ids, self._room = set(), MAX_FRAME


class Subscription:
    """What one `subscribe` asked for, and how far it has come.

    `live` means that its client is told of changes as they come. `slow` counts
    how often in a row it fell behind before it was.
    """

    def __init__(
        self, wish: Subscribe, wake: Callable[[], None], only: Filter | None = None
    ) -> None:
        self.wish = wish
        self.weight = weight_of(wish.filter.size)
        narrowed = wish.filter.within(only)
        self.watcher = Watcher(narrowed, wake, wish.topic, wish.every)
        self.live = False
        self._resumed = False
        """Whether what is pending came while its client was away."""
        self.slow = 0
        self._read: Read | None = None
        self._reset = ""
        """Told with the next frame: it is the first of a snapshot."""
        self._held: dict[str, bytes] = {}
        """The last page of the snapshot, which waits for its cursor."""
        self._shown: dict[str, Place] = {}
        """What the snapshot showed of later than `_begun_at`, until the log has been
        read past it."""
        self._begun_at: Cursor = START
        """All that the hub offers comes behind it."""
        self.rest = 0
        """Bytes of images that were read for its snapshot, and not handed over yet."""
        self._end: Cursor | None = None
        filter_ = wish.filter
        only_ids = filter_.ids is not None and filter_ == Filter(ids=filter_.ids)
        self._open: set[str] | None = set(filter_.ids or ()) if only_ids else None
        """Ids that are not final yet, if ids is all that it asks for."""

    @property
    def over(self) -> bool:
        """Whether all ids that it asks for are final, and were told as such."""
        return self.live and self._open == set()

    @property
    def held(self) -> int:
        """About how many bytes it holds: of its snapshot, and of what came since."""
        snapshot = SHOWN_BYTES * len(self._shown) + sum(map(len, self._held.values()))
        snapshot += self.rest
        return snapshot + PENDING_BYTES * len(self.watcher.pending) + self.watcher.size

    @property
    def changed_at(self) -> str | None:
        """When the task changed that waits longest to be told, by a worker's clock.

        Not of what was told late because Herald found it out late.
        """
        if not self.live or self._resumed or not self.watcher.pending:
            return None
        task = next(iter(self.watcher.pending.values())).task
        return task.updated_at if task is not None and task.source == "event" else None

    # -- what is read ----------------------------------------------------------

    def begin(self, reason: str, pos: Cursor, since: Cursor | None = None) -> Read:
        """Return what has to be read for it, from the beginning.

        The hub has offered it what came up to `pos`.
        """
        self.live = False
        # Whoever has many subscriptions waits long for the last one to be read.
        self.watcher.asleep = True
        self.watcher.take()
        self._begun_at = pos
        # A reason that was not told yet stays: for its client nothing else is new.
        self._reset = (self._reset or reason) if since is None else ""
        self._held, self._shown, self._end = {}, {}, None
        self._read = Read(self, since)
        return self._read

    def awake(self, pos: Cursor) -> None:
        """Note what comes behind `pos`, where the hub is; the rest is read now."""
        self._begun_at = pos
        self.watcher.asleep = False
        self.watcher.take()

    def waits_for(self, read: Read) -> bool:
        """Say whether `read` is still of use."""
        return self._read is read and not self.watcher.reset

    def asked_for(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Return those of `changes` that are to be told."""
        return tuple(
            change
            for change in changes
            if change.kind == self.wish.topic and concerns(self.watcher.filter, change)
        )

    def replayed(self, since: Cursor, entries: Sequence[Entry]) -> Read | None:
        """Go live with `entries`, all that came since its cursor.

        Returns what is left to be read: what ended before the cursor is not
        told again, but counts.
        """
        # A server that was behind the cursor offered what its client knows.
        later = [c for c in self.watcher.take() if c.place[0] > since]
        for entry in entries:
            for change in entry.changes:
                if change.kind == self.wish.topic:
                    self.watcher.offer(change)
        for change in later:
            # Behind the entries, in order; what is in both is not taken twice.
            self.watcher.note(change)
        self.live, self._reset, self._resumed = True, "", True
        self._read = Read(self, finals=True) if self._open is not None else None
        return self._read

    def finals(self, tasks: Iterable[tuple[str, str]], pos: Cursor) -> None:
        """Note which of its ids are final: (id, rev) of each.

        One that became so behind `pos` does not count yet: its client is still
        to be told.
        """
        if self._open is not None:
            self._open -= {id_ for id_, rev in tasks if place_of(rev)[0] <= pos}
        self._read = None

    def page(self, rows: Sequence[Row]) -> Part | None:
        """Hold a page of the snapshot; return the one held before."""
        part = self._release() if self._held else None
        for id_, rev, json, final in rows:
            self._held[id_] = self._projected(json)
            if rev and (place := place_of(rev))[0] > self._begun_at:
                self._shown[id_] = place
            if final and self._open is not None:
                self._open.discard(id_)
        return part

    def synced(self, end: Cursor) -> None:
        """Note that the snapshot is read; `end` was the log's end afterwards."""
        self._end = end
        self._read = None

    def _release(self) -> Part:
        put, self._held = list(self._held.values()), {}
        reset, self._reset = self._reset, ""
        return Part(self.wish.id, put, [], reset)

    # -- what is told ------------------------------------------------------------

    def parts(self, pos: Cursor) -> list[Part]:
        """Return all that is pending, now that the log was read up to `pos`."""
        if self.live:
            return self._gathered() if self.watcher.pending else []
        if self._end is None or pos < self._end:
            return []
        return self._first()

    def _first(self) -> list[Part]:
        """Go live: the log has been read to where the snapshot ended."""
        self.live, self.slow = True, 0
        if self.wish.every:
            # Each transition is told, so none is merged into the snapshot.
            return [self._release(), *self._gathered()]
        gone: list[str] = []
        for change in self._fresh():
            held = self._held.pop(change.id, None)
            if not self.watcher.leaves(change):
                self._held[change.id] = self._projected(change.json)
            elif held is None:
                gone.append(change.id)
        self._shown = {}
        return [self._release()._replace(gone=gone)]

    def _gathered(self) -> list[Part]:
        """Return what is pending as frames in which no id stands twice."""
        self._resumed = False
        # Where only the newest of a task is told, or a snapshot showed what came
        # later, a client would hold more or less than what was true at a place.
        builder = PartBuilder(self.wish.id, self.wish.every and not self._shown)
        for change in self._fresh():
            gone = self.watcher.leaves(change)
            builder.add(change, None if gone else self._projected(change.json))
        self._shown = {}
        return builder.parts

    def _fresh(self) -> Iterable[Change]:
        """Yield what is pending and was not shown, and note what became final."""
        for change in self.watcher.take():
            if self._knows(change):
                continue
            ends = change.gone or (change.task is not None and change.task.final)
            if ends and self._open is not None:
                self._open.discard(change.id)
            yield change

    def _knows(self, change: Change) -> bool:
        shown = self._shown.get(change.id)
        return shown is not None and change.place <= shown

    def _projected(self, json: bytes) -> bytes:
        fields = self.wish.fields
        return json if fields is None else _only(json, fields)


@lru_cache(maxsize=1_024)
def _only(json: bytes, fields: frozenset[str]) -> bytes:
    """Return the image `json` with `fields` alone: once for all who ask for them."""
    whole: dict[str, object] = msgspec.json.decode(json)
    return to_json({k: v for k, v in whole.items() if k in fields})


def place_of(rev: str) -> Place:
    """Return the place in the log that `rev` names."""
    cursor, _, number = rev.partition(".")
    return parse_any_cursor(cursor), int(number or 0)
