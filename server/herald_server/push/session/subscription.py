"""One subscription of a connection: first read, then live. No I/O.

It is first read from the store (a snapshot) or from the log (a replay since a cursor),
then live. The hub offers it changes from before the read starts, so none is missed; a
change that the snapshot contains already is recognised by its rev.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from herald_core.model.changes import Change, LogEntry
from herald_core.model.codec import to_json
from herald_core.model.cursor import START, Cursor
from herald_core.model.filters import Filter
from herald_core.model.vector_cursor import RevPosition, parse_rev
from herald_server.auth.quotas.cpu_budget import count_values
from herald_server.push.log.hub import Subscriber, is_relevant
from herald_server.push.protocol.messages import SubscribeMessage
from herald_server.push.session import frame_packer

SnapshotRow = tuple[str, str, bytes, bool]
"""Of a snapshot: id, rev (empty if it has none), JSON, whether it is final."""


class ReadRequest(msgspec.Struct, frozen=True, eq=False):
    """A read request for `sub`: a snapshot, or the changes `since` a cursor.

    `on_final_ids` requests only which of its ids are final.
    """

    sub: Subscription
    since: Cursor | None = None
    finals: bool = False


SHOWN_ID_BYTES = 300
"""Memory for the id of a task that was sent."""


PENDING_CHANGE_BYTES = 100
"""Memory for a pending change."""


class DataFrame(NamedTuple):
    """A `data` frame without its cursor.

    With this frame all that was pending is sent up to `until`, if that is known.
    """

    sub: str
    put: list[bytes]
    gone: list[str]
    reset: str = ""
    until: Cursor | None = None

    def split(self) -> list[DataFrame]:
        """Return it as frames of bounded size, in order."""
        if sum(map(len, self.put)) <= frame_packer.MAX_FRAME_BYTES:
            return [self]
        parts, room = (
            [DataFrame(self.sub, [], self.gone, self.reset)],
            frame_packer.MAX_FRAME_BYTES,
        )
        for image in self.put:
            if len(image) > room and parts[-1].put:
                parts.append(DataFrame(self.sub, [], []))
                room = frame_packer.MAX_FRAME_BYTES
            parts[-1].put.append(image)
            room -= len(image)
        parts[-1] = parts[-1]._replace(until=self.until)
        return parts

    def encode(self, cursor: Cursor | None = None) -> bytes:
        """Return it as bytes. Images go in as they lie in the log."""
        words = [_encode_head(self.sub)]
        if self.reset:
            words += [b',"reset":', to_json(self.reset)]
        words += [b',"put":[', b",".join(self.put), b"]"]
        if self.gone:
            words += [b',"del":', to_json(self.gone)]
        if cursor is not None:
            words += [b',"cursor":"', str(cursor).encode(), b'"']
        words.append(b"}")
        return b"".join(words)


@lru_cache(maxsize=1_024)
def _encode_head(sub: str) -> bytes:
    """Return the beginning of each frame of a subscription."""
    return b'{"type":"data","id":%b' % to_json(sub)


class Subscription:
    """One subscription and its progress.

    `is_live` means that its client gets changes as they happen. `slow` counts how often
    in a row it fell behind before that.
    """

    __slots__ = (
        *("_is_resumed", "_last_page", "_read", "_reset", "_sent_until"),
        *("_snapshot_end", "_snapshot_positions", "_snapshot_start"),
        *("_unfinished_ids", "is_live", "request", "slow", "subscriber"),
        *("unsent_bytes", "weight"),
    )

    def __init__(
        self,
        wish: SubscribeMessage,
        wake: Callable[[], None],
        only: Filter | None = None,
    ) -> None:
        self.request = wish
        self.weight = count_values(wish.filter.size)
        narrowed = wish.filter.intersect(only)
        self.subscriber = Subscriber(narrowed, wake, wish.topic, wish.all_transitions)
        self.is_live = False
        self._is_resumed = False
        """Whether the pending changes happened while its client was disconnected."""
        self.slow = 0
        self._read: ReadRequest | None = None
        self._reset = ""
        """Sent with the next frame, the first of a snapshot."""
        self._last_page: dict[str, bytes] = {}
        """The last page of the snapshot, which waits for its cursor."""
        self._snapshot_positions: dict[str, RevPosition] = {}
        """Positions in the snapshot that are after `_snapshot_start`, until the log was
        read up to them."""
        self._snapshot_start: Cursor = START
        """Position after which all changes come from the hub."""
        self.unsent_bytes = 0
        """Bytes of images that were read for its snapshot, and not handed over yet."""
        self._snapshot_end: Cursor | None = None
        self._sent_until: Cursor = START
        """Position up to which a live client was sent everything."""
        filter_ = wish.filter
        only_ids = filter_.ids is not None and filter_ == Filter(ids=filter_.ids)
        self._unfinished_ids: set[str] | None = (
            set(filter_.ids or ()) if only_ids else None
        )
        """Ids that are not final yet, if ids is all that it asks for."""

    @property
    def is_done(self) -> bool:
        """Whether all its ids are final, and were sent as such."""
        ids = self._unfinished_ids
        return ids is not None and not ids and self.is_live

    @property
    def held_bytes(self) -> int:
        """Approximate number of bytes held: of its snapshot, and of later changes."""
        snapshot = SHOWN_ID_BYTES * len(self._snapshot_positions) + sum(
            map(len, self._last_page.values())
        )
        snapshot += self.unsent_bytes
        return (
            snapshot
            + PENDING_CHANGE_BYTES * len(self.subscriber.pending)
            + self.subscriber.size
        )

    @property
    def changed_at(self) -> str | None:
        """Time of the oldest pending change, by the worker's clock.

        None if Herald itself learned of it late.
        """
        if not self.is_live or self._is_resumed or not self.subscriber.pending:
            return None
        task = next(iter(self.subscriber.pending.values())).task
        return task.updated_at if task is not None and task.source == "event" else None

    # -- reads -----------------------------------------------------------------

    def begin(
        self, reason: str, pos: Cursor, since: Cursor | None = None
    ) -> ReadRequest:
        """Return the read request with which it starts.

        The hub has offered it the changes up to `pos`.
        """
        self.is_live = False
        # A client with many subscriptions waits long until the last one is read.
        self.subscriber.is_asleep = True
        self.subscriber.drain()
        self._snapshot_start = pos
        # A reason that was not sent yet stays: nothing else is new for its client.
        self._reset = (self._reset or reason) if since is None else ""
        self._last_page, self._snapshot_positions, self._snapshot_end = {}, {}, None
        self._read = ReadRequest(self, since)
        return self._read

    def resume(self, pos: Cursor) -> None:
        """Accept changes after `pos`, the hub's position; the rest is read now."""
        self._snapshot_start = pos
        self.subscriber.is_asleep = False
        self.subscriber.drain()

    def is_waiting_for(self, read: ReadRequest) -> bool:
        """Return True if `read` is still needed."""
        return self._read is read and not self.subscriber.reset

    def select_changes(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Return the matching ones of `changes`."""
        return tuple(
            change
            for change in changes
            if change.kind == self.request.topic
            and is_relevant(self.subscriber.filter, change)
        )

    def on_replay(
        self, since: Cursor, entries: Sequence[LogEntry]
    ) -> ReadRequest | None:
        """Go live with `entries`, all changes since its cursor.

        Returns the remaining read request: tasks that ended before the cursor are not
        sent again, but count.
        """
        # A server behind the cursor offered changes that the client already has.
        later = [c for c in self.subscriber.drain() if c.place[0] > since]
        for entry in entries:
            for change in entry.changes:
                if change.kind == self.request.topic:
                    self.subscriber.offer(change)
        for change in later:
            # After the entries, in order; duplicates are dropped.
            self.subscriber.enqueue(change)
        self.is_live, self._reset, self._is_resumed = True, "", True
        self._sent_until = since
        self._read = (
            ReadRequest(self, finals=True) if self._unfinished_ids is not None else None
        )
        return self._read

    def on_final_ids(self, tasks: Iterable[tuple[str, str]], pos: Cursor) -> None:
        """Record which of its ids are final: (id, rev) of each.

        One that became final after `pos` does not count yet: its change is still
        pending.
        """
        if self._unfinished_ids is not None:
            self._unfinished_ids -= {
                id_ for id_, rev in tasks if parse_rev(rev)[0] <= pos
            }
        self._read = None

    def on_page(self, rows: Sequence[SnapshotRow]) -> DataFrame | None:
        """Hold a page of the snapshot; return the previous one."""
        part = self._release() if self._last_page else None
        fields = self.request.fields
        for id_, rev, json, final in rows:
            self._last_page[id_] = (
                json if fields is None else _select_fields(json, fields)
            )
            if rev and (place := parse_rev(rev))[0] > self._snapshot_start:
                self._snapshot_positions[id_] = place
            if final and self._unfinished_ids is not None:
                self._unfinished_ids.discard(id_)
        return part

    def on_snapshot_end(self, end: Cursor) -> None:
        """Record that the snapshot was read; `end` was the log's end afterwards."""
        self._snapshot_end = end
        self._read = None

    def _release(self) -> DataFrame:
        put, self._last_page = list(self._last_page.values()), {}
        reset, self._reset = self._reset, ""
        return DataFrame(self.request.id, put, [], reset)

    # -- frames ------------------------------------------------------------------

    def take_frames(self, pos: Cursor) -> list[DataFrame]:
        """Return all pending frames, now that the log was read up to `pos`."""
        frames: list[DataFrame] = []
        if not self.is_live:
            if self._snapshot_end is None or pos < self._snapshot_end:
                return []
            frames = self._take_first_frames()
        elif self.subscriber.pending:
            frames = self._take_pending_frames()
        self._sent_until = pos
        return frames

    def _take_first_frames(self) -> list[DataFrame]:
        """Go live: the log was read up to the end of the snapshot."""
        self.is_live, self.slow = True, 0
        if self.request.all_transitions:
            # Each transition is sent, so none is merged into the snapshot.
            return [*self._release().split(), *self._take_pending_frames()]
        gone: list[str] = []
        for change in self._take_changes():
            held, image = self._last_page.pop(change.id, None), self._get_view(change)
            if image is not None:
                self._last_page[change.id] = image
            elif held is None:
                gone.append(change.id)
        self._snapshot_positions = {}
        return self._release()._replace(gone=gone).split()

    def _take_pending_frames(self) -> list[DataFrame]:
        """Return the pending changes as frames of bounded size with unique ids."""
        self._is_resumed = False
        whole = self.subscriber
        if whole.all_transitions or whole.size > frame_packer.MAX_FRAME_BYTES:
            return self._pack_pending()
        # Ids are unique already: only the newest change of each is pending.
        put: list[bytes] = []
        gone: list[str] = []
        for change in self._take_changes():
            image = self._get_view(change)
            if image is None:
                gone.append(change.id)
            else:
                put.append(image)
        self._snapshot_positions = {}
        return [DataFrame(self.request.id, put, gone)] if put or gone else []

    def _pack_pending(self) -> list[DataFrame]:
        """Return the pending changes as several frames.

        A client can resume between two entries of the log, not within one. A frame
        therefore ends with an entry, unless that does not fit into one frame.
        """
        # If only the newest change of a task is sent, or a snapshot contains later
        # ones, the client's data is not that of one position.
        resumable = self.request.all_transitions and not self._snapshot_positions
        packer = frame_packer.FramePacker()
        until: Cursor | None = self._sent_until
        for place, changes in frame_packer.iter_entries(self._take_changes()):
            rows = [(change.id, self._get_view(change)) for change in changes]
            if resumable and not packer.has_room_for(rows):
                packer.end_frame(until)
            for row in rows:
                packer.add(*row)
            if resumable:
                until = until and frame_packer.advance(until, place)
        self._snapshot_positions = {}
        id_ = self.request.id
        return [DataFrame(id_, f.put, f.gone, "", f.until) for f in packer.frames]

    def _take_changes(self) -> list[Change]:
        """Return the pending changes that the snapshot does not contain; record final
        ones."""
        changes = self.subscriber.drain()
        if self._snapshot_positions:
            changes = [one for one in changes if not self._is_in_snapshot(one)]
        if self._unfinished_ids:
            self._unfinished_ids.difference_update(
                [one.id for one in changes if _is_end(one)]
            )
        return changes

    def _is_in_snapshot(self, change: Change) -> bool:
        shown = self._snapshot_positions.get(change.id)
        return shown is not None and change.place <= shown

    def _get_view(self, change: Change) -> bytes | None:
        """Return the JSON of a changed item; None if it left the filter or expired."""
        if change.has_left or not change.json:
            return None
        fields = self.request.fields
        return change.json if fields is None else _select_fields(change.json, fields)


def _is_end(change: Change) -> bool:
    """Return True if nothing more is expected of the changed task."""
    return change.is_deletion or (change.task is not None and change.task.final)


@lru_cache(maxsize=1_024)
def _select_fields(json: bytes, fields: frozenset[str]) -> bytes:
    """Return `json` with `fields` alone; cached for all subscribers
    that select them."""
    whole: dict[str, object] = msgspec.json.decode(json)
    return to_json({k: v for k, v in whole.items() if k in fields})
