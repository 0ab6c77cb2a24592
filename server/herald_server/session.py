"""The WebSocket protocol `herald.v1` as a state machine: frames in, frames out. No I/O.

Whoever pumps a session does four things, in one task:

1. hands it what the client said: `receive`;
2. sends `control()` at once;
3. does what `reads` asks for and hands the result back
   (`replayed`, `finals`, `page` and `synced`, `restart`, or `fail`);
4. sends `data()`, at most once a tick.

A cursor is sent only where every subscription of the connection is complete up
to it, because it stands for all of them.

Close codes below 4400: reconnect and resume. From 4400: mend something first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from herald_monitor.model.changes import TASK, Entry
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.filters import Filter
from herald_server import frames
from herald_server.answer_turns import SnapshotTurn
from herald_server.cpu_budget import Account, weight_of
from herald_server.hub import BOOKMARK_EVERY, COUNTS, Hub
from herald_server.limits import (
    BAD_MESSAGE,
    MESSAGES,
    MESSAGES_PER_S,
    RATE,
    SLOW,
    Allowance,
    Limits,
    Tally,
)
from herald_server.messages import (
    BadMessage,
    Message,
    Ping,
    Subscribe,
    Unsubscribe,
    parse_message,
)
from herald_server.stalled import StalledShare
from herald_server.subscription import Part, Read, Row, Subscription

HEARTBEAT = 15.0
"""Seconds after which a quiet client is sent a bookmark."""

MAX_SLOW = 3
"""Snapshots in a row that a client may be too slow for."""

FORBIDDEN = "a token that is narrowed to some tasks may watch only the topic tasks"

OVER = frozenset(["too_big", "too_many", "too_broad", "rate"])
"""Codes of errors that say that a limit was met; they are counted."""

BACKLOG = 100
"""Answers that may wait for a client before nothing more is heard from it."""


class Session:
    """One connection. `wake` is called when there may be something to send."""

    def __init__(
        self,
        hub: Hub,
        wake: Callable[[], None],
        limits: Limits | None = None,
        heartbeat: float = HEARTBEAT,
        tally: Tally | None = None,
        lag_ms: Callable[[float], int | None] = lambda now: None,
        only: Filter | None = None,
    ) -> None:
        self._hub = hub
        self._wake = wake
        self._limits = limits or Limits()
        self._heartbeat = heartbeat
        self._tally = tally or Tally()
        self._lag_ms = lag_ms
        self._only = only
        self._account = Account(0.0)
        self._share: StalledShare | None = None
        self.turn = SnapshotTurn(self._account.backlog)
        """Waited for before a snapshot is read."""
        self._subs: dict[str, Subscription] = {}
        self._control: list[bytes] = []
        self._bad = 0
        self._allowance = Allowance(self._limits.subs, self._limits.subscribes_per_s)
        self._messages = Allowance(MESSAGES, MESSAGES_PER_S)
        self._told: Cursor | None = None
        self._told_at = 0.0
        self.reads: deque[Read] = deque()
        self.closing: tuple[int, str] | None = None
        self.changed_at: str | None = None
        """When the task changed that is told first with the newest `data`."""

    @property
    def full(self) -> bool:
        """Whether so many answers wait that nothing more should be heard."""
        return len(self._control) >= BACKLOG

    @property
    def idle(self) -> bool:
        """Whether nothing is subscribed to."""
        return not self._subs

    # -- what the client says ------------------------------------------------

    def receive(self, text: str | bytes, now: float) -> Message | None:
        """Take in one frame; return the message if the caller must act on it (auth)."""
        try:
            said = self._receive(text, now)
        except BadMessage as error:
            self.error(error.code, str(error), error.sub, retry=error.retry)
            self._refuse(error.code)
            self._bad += 1
            if self._bad >= self._limits.bad_messages:
                code = RATE if error.retry else BAD_MESSAGE
                self.close(code, "too many messages in a row that cannot be taken")
            return None
        self._bad = 0
        return said

    def _receive(self, text: str | bytes, now: float) -> Message | None:
        if len(text) > self._limits.in_bytes:
            raise BadMessage(
                "too_big", f"a message is over {self._limits.in_bytes} bytes"
            )
        if not self._messages.take(now):
            raise BadMessage("rate", "too many messages; wait a second", retry=True)
        message = parse_message(text)
        if isinstance(message, Subscribe):
            self.subscribe(message, now)
        elif isinstance(message, Unsubscribe):
            self._end(message.id)
        elif isinstance(message, Ping):
            self.say("pong")
        else:
            return message
        return None

    def subscribe(self, wish: Subscribe, now: float) -> None:
        """Register a wish, and ask for what has to be read. Raises `BadMessage`."""
        self._check(wish, now)
        old = self._end(wish.id)
        reason, since = "new", wish.since
        if old is not None and not _alike(old.wish, wish):
            # What came since tells nothing of what matched all along.
            reason, since = "filter", None
        if wish.topic == COUNTS:
            # Counts are not in the log, so they cannot be resumed; they are few.
            since = None
        self._watch(wish, reason, since)

    def _watch(self, wish: Subscribe, reason: str, since: Cursor | None) -> None:
        sub = Subscription(wish, self._wake, self._only)
        sub.watcher.share = self._share
        if self._share is not None:
            self._share.add(1)
        self._subs[wish.id] = sub
        self._account.values += sub.weight
        self._hub.watch(sub.watcher)
        self._begin(sub, reason, since)

    @property
    def only(self) -> Filter | None:
        """To what it is narrowed; None: it may tell of every task."""
        return self._only

    def count_for(self, account: Account) -> None:
        """Count what is watched for `account` from now on."""
        watched = sum(sub.weight for sub in self._subs.values())
        self._account.values -= watched
        account.values += watched
        self._account = account
        self.turn.backlog = account.backlog

    def narrow(self, only: Filter | None) -> None:
        """Tell from now on of what `only` matches; what was told before is void."""
        if only == self._only:
            return
        self._only = only
        for sub in list(self._subs.values()):
            self._end(sub.wish.id)
            if only is None or sub.wish.topic == TASK:
                self._watch(sub.wish, "filter", None)
            else:
                self.error("forbidden", FORBIDDEN, sub.wish.id)

    def _check(self, wish: Subscribe, now: float) -> None:
        limits = self._limits
        if self._only is not None and wish.topic != TASK:
            raise BadMessage("forbidden", FORBIDDEN, wish.id)
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
        old = self._subs.get(wish.id)
        more = weight_of(wish.filter.size) - (old.weight if old else 0)
        if not self._account.has_room(more):
            raise BadMessage(
                "too_many",
                f"at most {self._account.max_values} values in the filters of all "
                "subscriptions of a token; unsubscribe some, or ask for wider ones",
                wish.id,
            )
        if not self._allowance.take(now):
            raise BadMessage(
                "rate", "too many subscribes; wait a second", wish.id, retry=True
            )

    def _end(self, id_: str) -> Subscription | None:
        sub = self._subs.pop(id_, None)
        if sub is not None:
            self._account.values -= sub.weight
            if self._share is not None:
                self._share.add(-1)
            self._hub.drop(sub.watcher)
            # What is left may be complete now, and owed its cursor.
            self._wake()
        return sub

    def error(
        self, code: str, message: str, sub: str | None = None, *, retry: bool = False
    ) -> None:
        """Answer with an error; the socket stays open."""
        self.say("error", id=sub, code=code, message=message, retry=retry)

    def say(self, type_: str, **fields: object) -> None:
        """Send a frame of another type (`hello`, `status`, `bye`)."""
        self._say(frames.other(type_, **fields))

    def _say(self, frame: bytes) -> None:
        self._control.append(frame)
        self._wake()

    def close(self, code: int, reason: str) -> None:
        """Ask for the end of the connection."""
        self.closing = self.closing or (code, reason)
        self._wake()

    def control(self) -> list[bytes]:
        """Return answers that wait for nothing, and forget them."""
        said, self._control = self._control, []
        return said

    # -- what is read for it ---------------------------------------------------

    def _begin(
        self, sub: Subscription, reason: str, since: Cursor | None = None
    ) -> None:
        self.reads.append(sub.begin(reason, self._hub.pos, since))
        self._wake()

    def wanted(self, read: Read) -> bool:
        """Say whether `read` is still waited for."""
        sub = read.sub
        return self._subs.get(sub.wish.id) is sub and sub.waits_for(read)

    def replayed(self, read: Read, entries: Sequence[Entry]) -> None:
        """Go live with what came since the cursor. `entries` follow each other."""
        rest = read.sub.replayed(read.since or START, entries)
        if rest is not None:
            self.reads.append(rest)
        # Where nothing came, a bookmark says that it is complete.
        self._told = None
        self._wake()

    def finals(self, read: Read, tasks: Iterable[tuple[str, str]]) -> None:
        """Note which tasks of a subscription are final: (id, rev) of each."""
        read.sub.finals(tasks, self._hub.pos)
        self._wake()

    def restart(self, read: Read, reason: str) -> None:
        """Read a snapshot after all."""
        if self.wanted(read):
            self._count(reason)
            self._begin(read.sub, reason)

    def again(self, read: Read) -> None:
        """Have `read` read once more: the store did not answer."""
        if read.finals or read.since is not None:
            self.reads.append(read)
            self._wake()
        else:
            # What was read of a snapshot is void.
            self.restart(read, "new")

    def page(self, read: Read, rows: Sequence[Row]) -> None:
        """Send a page of the snapshot.

        The one before it goes out; the last waits in `synced` for its cursor.
        """
        part = read.sub.page(rows)
        for some in part.bounded() if part is not None else ():
            self._say(some.frame())

    def synced(self, read: Read, end: Cursor) -> None:
        """Note that the snapshot is read; `end` was the log's end afterwards."""
        read.sub.synced(end)
        # It goes live once the log has been read as far as the snapshot may show.
        self._hub.reach(end, self._wake)

    def fail(self, read: Read, code: str, message: str, *, retry: bool) -> None:
        """Answer that a subscription cannot be had, and forget it."""
        if self.wanted(read):
            self._end(read.sub.wish.id)
            self.error(code, message, read.sub.wish.id, retry=retry)
            self._refuse(code)

    def _refuse(self, code: str) -> None:
        if code in OVER:
            self._tally.refuse(code)

    # -- what is told ----------------------------------------------------------

    def data(self, now: float) -> list[bytes]:
        """Return what is pending as frames; the last carries the cursor, if safe."""
        if self.closing:
            return []
        pos = self._hub.pos
        parts: list[Part] = []
        self.changed_at = None
        for sub in self._subs.values():
            if sub.watcher.reset:
                self._start_over(sub)
            self.changed_at = self.changed_at or sub.changed_at
            parts += [some for part in sub.parts(pos) for some in part.bounded()]
        safe = bool(self._subs) and all(sub.live for sub in self._subs.values())
        # A cursor stands for all subscriptions: one among several has none of its own.
        alone = safe and len(self._subs) == 1
        out = [part.frame(part.until if alone else None) for part in parts[:-1]]
        if parts:
            out.append(parts[-1].frame(pos if safe else None))
        elif safe and self._due(pos, now):
            lag = self._lag_ms(now)
            out.append(frames.other("cursor", cursor=str(pos), lag_ms=lag))
        if safe and out:
            self._told, self._told_at = pos, now
        return out + self._done()

    def quiet_for(self, now: float) -> float:
        """Return the seconds until a bookmark will be due."""
        return max(self._told_at + self._heartbeat - now, 0.0)

    def drop_pending(self, most: int) -> None:
        """Let each subscription start over for which more than `most` changes wait."""
        for sub in self._subs.values():
            if len(sub.watcher.pending) > most:
                sub.watcher.start_over("slow")

    def must_wait(self, now: float) -> bool:
        """Return True while so much waits unread for its token that nothing is sent."""
        return self._account.backlog.is_full(now)

    def stall(self) -> None:
        """Keep only a share of what comes: its client does not take what there is."""
        if self._share is None:
            self._set_share(self._account.backlog.stalled)

    def go_on(self) -> None:
        """Keep what comes: its client takes it."""
        if self._share is not None:
            self._set_share(None)

    def _set_share(self, share: StalledShare | None) -> None:
        for old, sign in ((self._share, -1), (share, 1)):
            if old is not None:
                old.add(sign * len(self._subs))
        self._share = share
        for sub in self._subs.values():
            sub.watcher.share = share

    def keep_share(self, now: float) -> None:
        """Let each subscription start over that keeps more than its share.

        Ends connections if too much waits for the clients of its token.
        """
        self._account.backlog.check(now)
        for sub in self._subs.values():
            if self._share is not None and not sub.watcher.reset:
                sub.watcher.keep_share(self._share)

    @property
    def held(self) -> int:
        """About how many bytes its subscriptions hold that were not told yet."""
        return sum(sub.held for sub in self._subs.values())

    def _start_over(self, sub: Subscription) -> None:
        reason, sub.watcher.reset = sub.watcher.reset, ""
        if reason == "slow":
            sub.slow += 1
            if sub.slow > MAX_SLOW:
                self.close(SLOW, "too slow; reconnect, or ask for less")
        self._count(reason)
        self._begin(sub, reason)

    def _count(self, reason: str) -> None:
        self._tally.resets[reason] = self._tally.resets.get(reason, 0) + 1

    def _due(self, pos: Cursor, now: float) -> bool:
        told = self._told
        if told is None or pos.epoch != told.epoch:
            return True
        return pos.n - told.n >= BOOKMARK_EVERY or self.quiet_for(now) == 0.0

    def _done(self) -> list[bytes]:
        """End subscriptions to ids that are all final."""
        done = [sub.wish.id for sub in self._subs.values() if sub.over]
        for id_ in done:
            self._end(id_)
        return [frames.other("done", id=id_) for id_ in done]

    def end(self) -> None:
        """Forget all subscriptions."""
        for id_ in list(self._subs):
            self._end(id_)


def _alike(one: Subscribe, other: Subscribe) -> bool:
    return (one.topic, one.filter, one.fields) == (
        other.topic,
        other.filter,
        other.fields,
    )
