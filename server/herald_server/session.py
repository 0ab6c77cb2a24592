"""The WebSocket protocol `herald.v1` as a state machine: frames in, frames out. No I/O.

Whoever pumps a session does four things, in one task:

1. hands it what the client said: `receive`;
2. sends `control()` at once;
3. does what `reads` asks for and hands the result back
   (`replayed`, `page`, `synced`, or `restart`);
4. sends `data()`, at most once a tick.

A subscription is first read from the store (a snapshot) or from the log (a
replay of what came since a cursor), then live. The hub offers it changes from
before the read starts, so nothing lies between; what the snapshot holds already
is told apart by its rev. A cursor is sent only where every subscription of the
connection is complete up to it, because it stands for all of them.

Close codes below 4400: reconnect and resume. From 4400: mend something first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from herald_monitor.model.changes import Change, Entry
from herald_monitor.model.codec import to_json
from herald_monitor.model.cursor import Cursor, parse_cursor
from herald_monitor.model.filters import Filter
from herald_server import frames
from herald_server.hub import COUNTS, Hub, Watcher
from herald_server.messages import (
    BadMessage,
    Message,
    Ping,
    Subscribe,
    Unsubscribe,
    parse_message,
)

SLOW = 4008
BEHIND = 4013
BAD_MESSAGE = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
AUTH_TIMEOUT = 4408
TOO_MANY = 4413

HEARTBEAT = 15.0
"""Seconds after which a quiet client is sent a bookmark."""

SKIPPED = 1_000
"""Log entries that concern nobody here, after which it is sent one."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may ask for. Shown in `hello`."""

    subs: int = 50
    ids_per_sub: int = 1_000
    in_bytes: int = 65_536
    snapshot: int = 10_000
    subscribes_per_s: int = 10
    bad_messages: int = 10


Place = tuple[Cursor, int]


class Sub:
    """One subscription of a connection."""

    def __init__(self, wish: Subscribe, watcher: Watcher) -> None:
        self.wish = wish
        self.watcher = watcher
        self.live = False
        self.begun = False
        """Whether the first frame of the snapshot, the one with `reset`, is out."""
        self.reset = ""
        self.held: dict[str, bytes] = {}
        """The last page of the snapshot, which waits for its cursor."""
        self.guard: dict[str, Place] = {}
        """What the snapshot showed, until the log has been read past it."""
        self.synced: Cursor | None = None
        filter_ = wish.filter
        only_ids = filter_.ids is not None and filter_ == Filter(ids=filter_.ids)
        self.open: set[str] | None = set(filter_.ids or ()) if only_ids else None
        """Ids that are not final yet, if ids is all that it asks for."""


class Read(msgspec.Struct, frozen=True):
    """Something to be read for `sub`: all of it, or what came `since` a cursor.

    `finals` asks only which of its ids are final already.
    """

    sub: Sub
    since: Cursor | None = None
    finals: bool = False


class Session:
    """One connection. `wake` is called when there may be something to send."""

    def __init__(
        self, hub: Hub, wake: Callable[[], None], limits: Limits | None = None
    ) -> None:
        self._hub = hub
        self._wake = wake
        self._limits = limits or Limits()
        self._subs: dict[str, Sub] = {}
        self._control: list[bytes] = []
        self._bad = 0
        self._recent: deque[float] = deque(maxlen=self._limits.subscribes_per_s)
        self._told: Cursor | None = None
        self._told_at = 0.0
        self.reads: deque[Read] = deque()
        self.closing: tuple[int, str] | None = None

    # -- what the client says ------------------------------------------------

    def receive(self, text: str | bytes, now: float) -> Message | None:
        """Take in one frame; return the message if it is the caller's to act on (auth)."""
        try:
            return self._receive(text, now)
        except BadMessage as error:
            self.error(error.code, str(error), error.sub, retry=error.retry)
            self._bad += not error.retry
            if self._bad >= self._limits.bad_messages:
                self.closing = (BAD_MESSAGE, "too many messages that cannot be meant")
            return None

    def _receive(self, text: str | bytes, now: float) -> Message | None:
        if len(text) > self._limits.in_bytes:
            raise BadMessage(
                "too_big", f"a message is over {self._limits.in_bytes} bytes"
            )
        message = parse_message(text)
        if isinstance(message, Subscribe):
            self._subscribe(message, now)
        elif isinstance(message, Unsubscribe):
            self._end(message.id)
        elif isinstance(message, Ping):
            self._say(frames.other("pong"))
        else:
            return message
        return None

    def _subscribe(self, wish: Subscribe, now: float) -> None:
        self._check(wish, now)
        self._end(wish.id)
        watcher = Watcher(wish.filter, self._wake, wish.topic, wish.every)
        sub = Sub(wish, watcher)
        self._subs[wish.id] = sub
        self._hub.watch(watcher)
        # Counts are not in the log, so they cannot be resumed; they are few.
        since = None if wish.topic == COUNTS else wish.since
        self._begin(sub, "new", since)
        self._wake()

    def _check(self, wish: Subscribe, now: float) -> None:
        limits = self._limits
        if len(self._subs) >= limits.subs and wish.id not in self._subs:
            raise BadMessage(
                "too_many",
                f"at most {limits.subs} subscriptions a connection; unsubscribe one",
                wish.id,
            )
        if wish.filter.ids and len(wish.filter.ids) > limits.ids_per_sub:
            raise BadMessage(
                "too_many", f"at most {limits.ids_per_sub} ids a subscription", wish.id
            )
        full = len(self._recent) == limits.subscribes_per_s
        if full and now - self._recent[0] < 1.0:
            raise BadMessage(
                "rate", "too many subscribes; wait a second", wish.id, retry=True
            )
        self._recent.append(now)

    def _end(self, id_: str) -> None:
        sub = self._subs.pop(id_, None)
        if sub is not None:
            self._hub.drop(sub.watcher)

    def error(
        self, code: str, message: str, sub: str | None = None, *, retry: bool = False
    ) -> None:
        """Answer with an error; the socket stays open."""
        self._say(
            frames.other("error", id=sub, code=code, message=message, retry=retry)
        )

    def say(self, type_: str, **fields: object) -> None:
        """Send a frame of another type (`hello`, `status`, `bye`)."""
        self._say(frames.other(type_, **fields))

    def _say(self, frame: bytes) -> None:
        self._control.append(frame)
        self._wake()

    def control(self) -> list[bytes]:
        """Return answers that wait for nothing, and forget them."""
        said, self._control = self._control, []
        return said

    # -- what is read for it ---------------------------------------------------

    def _begin(self, sub: Sub, reason: str, since: Cursor | None = None) -> None:
        sub.live = sub.begun = False
        sub.reset = reason
        sub.held, sub.guard, sub.synced = {}, {}, None
        self.reads.append(Read(sub, since))

    def wanted(self, read: Read) -> bool:
        """Say whether `read` is still waited for."""
        sub = read.sub
        known = self._subs.get(sub.wish.id) is sub
        return known and (sub.live == read.finals) and not sub.watcher.reset

    def replayed(self, read: Read, entries: Sequence[Entry]) -> None:
        """Go live with what came since the cursor. `entries` follow each other."""
        sub = read.sub
        for entry in entries:
            for change in entry.changes:
                if change.kind == sub.wish.topic:
                    sub.watcher.offer(change)
        sub.live = True
        if sub.open is not None:
            # What ended before the cursor is not told again, but counts.
            self.reads.append(Read(sub, finals=True))
        self._wake()

    def finals(self, read: Read, ids: Iterable[str]) -> None:
        """Note which ids of a subscription are final."""
        if read.sub.open is not None:
            read.sub.open.difference_update(ids)
        self._wake()

    def restart(self, read: Read, reason: str) -> None:
        """Read a snapshot after all."""
        self._begin(read.sub, reason)

    def page(self, read: Read, images: Sequence[tuple[str, str, bytes, bool]]) -> None:
        """Send a page of the snapshot: (id, rev, JSON, final) of each.

        The one before it goes out; the last waits in `synced` for its cursor.
        """
        sub = read.sub
        if sub.held:
            self._say(self._snapshot_frame(sub))
        for id_, rev, json, final in images:
            sub.held[id_] = self._projected(sub, json)
            if rev:
                sub.guard[id_] = _place(rev)
            if final and sub.open is not None:
                sub.open.discard(id_)

    def synced(self, read: Read, end: Cursor) -> None:
        """Note that the snapshot is read; `end` was the log's end afterwards."""
        read.sub.synced = end
        self._wake()

    def fail(self, read: Read, code: str, message: str, *, retry: bool) -> None:
        """Answer that a subscription cannot be had, and forget it."""
        self._end(read.sub.wish.id)
        self.error(code, message, read.sub.wish.id, retry=retry)

    def _snapshot_frame(self, sub: Sub, cursor: Cursor | None = None) -> bytes:
        reset = "" if sub.begun else sub.reset
        sub.begun = True
        put, sub.held = list(sub.held.values()), {}
        return frames.data(sub.wish.id, put, (), cursor, reset)

    # -- what is told ----------------------------------------------------------

    def data(self, now: float) -> list[bytes]:
        """Return all that is pending as frames; the last carries the cursor, if safe."""
        pos = self._hub.pos
        frames_: list[tuple[Sub, list[bytes], list[str], str]] = []
        for sub in list(self._subs.values()):
            if sub.watcher.reset:
                self._start_over(sub)
            if not sub.live:
                self._try_live(sub, pos, frames_)
            elif sub.watcher.pending:
                frames_ += self._gather(sub, sub.watcher.take())
        safe = bool(self._subs) and all(sub.live for sub in self._subs.values())
        return self._written(frames_, pos if safe else None, now)

    def _start_over(self, sub: Sub) -> None:
        reason, sub.watcher.reset = sub.watcher.reset, ""
        self._begin(sub, reason)

    def _try_live(
        self, sub: Sub, pos: Cursor, out: list[tuple[Sub, list[bytes], list[str], str]]
    ) -> None:
        """Go live once the log has been read to where the snapshot ended."""
        if sub.synced is None or pos < sub.synced:
            return
        sub.live = True
        gone: list[str] = []
        for change in sub.watcher.take():
            if self._known(sub, change):
                continue
            self._note_final(sub, change)
            if sub.watcher.leaves(change):
                if sub.held.pop(change.id, None) is None:
                    gone.append(change.id)
            else:
                sub.held[change.id] = self._projected(sub, change.json)
        reset = "" if sub.begun else sub.reset
        sub.begun = True
        put, sub.held, sub.guard = list(sub.held.values()), {}, {}
        out.append((sub, put, gone, reset))

    def _gather(
        self, sub: Sub, changes: list[Change]
    ) -> list[tuple[Sub, list[bytes], list[str], str]]:
        """Return `changes` as frames in which no id stands twice."""
        out: list[tuple[Sub, list[bytes], list[str], str]] = []
        put: list[bytes] = []
        gone: list[str] = []
        seen: set[str] = set()
        for change in changes:
            if self._known(sub, change):
                continue
            if change.id in seen:
                out.append((sub, put, gone, ""))
                put, gone, seen = [], [], set()
            seen.add(change.id)
            self._note_final(sub, change)
            if sub.watcher.leaves(change):
                gone.append(change.id)
            else:
                put.append(self._projected(sub, change.json))
        if seen:
            out.append((sub, put, gone, ""))
        return out

    def _known(self, sub: Sub, change: Change) -> bool:
        shown = sub.guard.get(change.id)
        return shown is not None and change.place <= shown

    def _note_final(self, sub: Sub, change: Change) -> None:
        if sub.open is None or change.task is None:
            return
        if change.task.final or change.gone:
            sub.open.discard(change.id)

    def _projected(self, sub: Sub, json: bytes) -> bytes:
        fields = sub.wish.fields
        if fields is None:
            return json
        whole: dict[str, object] = msgspec.json.decode(json)
        return to_json({k: v for k, v in whole.items() if k in fields})

    def _written(
        self,
        frames_: list[tuple[Sub, list[bytes], list[str], str]],
        cursor: Cursor | None,
        now: float,
    ) -> list[bytes]:
        out: list[bytes] = []
        last = len(frames_) - 1
        for i, (sub, put, gone, reset) in enumerate(frames_):
            at = cursor if i == last else None
            out.append(frames.data(sub.wish.id, put, gone, at, reset))
        if cursor is not None and (frames_ or self._due(cursor, now)):
            if not frames_:
                out.append(frames.other("cursor", cursor=str(cursor)))
            self._told, self._told_at = cursor, now
        return out + self._done()

    def _due(self, cursor: Cursor, now: float) -> bool:
        if self._told is None or cursor.epoch != self._told.epoch:
            return True
        moved = cursor.n - self._told.n
        return moved >= SKIPPED or (moved > 0 and now - self._told_at >= HEARTBEAT)

    def _done(self) -> list[bytes]:
        """End subscriptions to ids that are all final."""
        done = [s.wish.id for s in self._subs.values() if s.live and s.open == set()]
        for id_ in done:
            self._end(id_)
        return [frames.other("done", id=id_) for id_ in done]

    def end(self) -> None:
        """Forget all subscriptions."""
        for id_ in list(self._subs):
            self._end(id_)


def _place(rev: str) -> Place:
    cursor, _, number = rev.partition(".")
    return parse_cursor(cursor), int(number or 0)
