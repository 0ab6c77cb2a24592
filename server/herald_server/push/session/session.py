"""The WebSocket protocol `herald.v1` as a state machine: frames in, frames out. No I/O.

The owner of a session, in one task:

1. passes the client's messages to `receive`;
2. sends `take_control_frames()` immediately;
3. fulfils `read_requests` and passes the results back (`on_replay`, `on_final_ids`,
   `on_page` and
   `on_snapshot_end`, `restart`, or `fail`);
4. sends `take_data_frames()`, at most once per tick.

A cursor is sent only if every subscription of the connection is complete up to it,
because it stands for all of them.

Close codes below 4400: reconnect and resume. From 4400: fix the request or credentials
before reconnecting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from herald_core.model.changes import TASK, LogEntry
from herald_core.model.cursor import START, Cursor
from herald_core.model.filters import Filter
from herald_server.auth.quotas.close_codes import BAD_MESSAGE, RATE_LIMITED, SLOW_CLIENT
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.token_bucket import TokenBucket
from herald_server.push.log.hub import BOOKMARK_CHANGES, COUNTS, Hub
from herald_server.push.protocol import frames
from herald_server.push.protocol.limits import (
    MAX_BURST_MESSAGES,
    MAX_MESSAGES_PER_S,
    Limits,
)
from herald_server.push.protocol.messages import (
    BadMessage,
    ClientMessage,
    PingMessage,
    SubscribeMessage,
    UnsubscribeMessage,
    parse_message,
)
from herald_server.push.session.subscription import (
    DataFrame,
    ReadRequest,
    SnapshotRow,
    Subscription,
)
from herald_server.push.session.subscription_set import SubscriptionSet

HEARTBEAT_S = 15.0
"""Seconds without data after which a client gets a bookmark."""

MAX_SLOW = 3
"""Snapshots in a row that a client may be too slow for."""

FORBIDDEN_MESSAGE = (
    "a token that is narrowed to some tasks may watch only the topic tasks"
)

LIMIT_CODES = frozenset(["too_big", "too_many", "too_broad", "rate"])
"""Codes of errors about limits; they are counted."""

MAX_ANSWERS = 100
"""Pending responses beyond which no message of the client is read."""


class Session:
    """One connection. `wake` is called when there may be something to send."""

    __slots__ = (
        *("_bad_count", "_control", "_heartbeat", "_hub", "_lag_ms", "_limits"),
        *("_message_bucket", "_metrics", "_sent_at", "_sent_cursor"),
        *("_subscribe_bucket", "_task_filter", "_wake", "changed_at", "closing"),
        *("read_requests", "subscriptions"),
    )

    def __init__(
        self,
        hub: Hub,
        wake: Callable[[], None],
        limits: Limits | None = None,
        heartbeat: float = HEARTBEAT_S,
        tally: PushMetrics | None = None,
        lag_ms: Callable[[float], int | None] = lambda now: None,
        only: Filter | None = None,
    ) -> None:
        self._hub = hub
        self._wake = wake
        self._limits = limits or Limits()
        self._heartbeat = heartbeat
        self._metrics = tally or PushMetrics()
        self._lag_ms = lag_ms
        self._task_filter = only
        self.subscriptions = SubscriptionSet(hub, self._limits)
        self._control: list[bytes] = []
        self._bad_count = 0
        self._subscribe_bucket = TokenBucket(
            self._limits.subs, self._limits.subscribes_per_s
        )
        self._message_bucket = TokenBucket(MAX_BURST_MESSAGES, MAX_MESSAGES_PER_S)
        self._sent_cursor: Cursor | None = None
        self._sent_at = 0.0
        self.read_requests: list[ReadRequest] = []
        """In order. An empty deque has 0.7 KB, and this is nearly always empty."""
        self.closing: tuple[int, str] | None = None
        self.changed_at: str | None = None
        """Time of the earliest change in the newest `data`."""

    @property
    def is_backlogged(self) -> bool:
        """Whether so many answers wait that no more messages should be received."""
        return len(self._control) >= MAX_ANSWERS

    @property
    def is_urgent(self) -> bool:
        """Whether anything but changes is to be sent, read or ended."""
        return bool(self._control or self.read_requests or self.closing)

    @property
    def is_idle(self) -> bool:
        """Whether it has no subscriptions."""
        return not len(self.subscriptions)

    # -- messages of the client ----------------------------------------------

    def receive(self, text: str | bytes, now: float) -> ClientMessage | None:
        """Process one frame; return the message if the caller must act on it (auth)."""
        try:
            said = self._receive(text, now)
        except BadMessage as error:
            self.send_error(error.code, str(error), error.sub, retry=error.retry)
            self._refuse(error.code)
            self._bad_count += 1
            if self._bad_count >= self._limits.bad_messages:
                code = RATE_LIMITED if error.retry else BAD_MESSAGE
                self.close(code, "too many messages in a row that cannot be taken")
            return None
        self._bad_count = 0
        return said

    def _receive(self, text: str | bytes, now: float) -> ClientMessage | None:
        if len(text) > self._limits.in_bytes:
            raise BadMessage(
                "too_big", f"a message is over {self._limits.in_bytes} bytes"
            )
        if not self._message_bucket.try_acquire(now):
            raise BadMessage("rate", "too many messages; wait a second", retry=True)
        message = parse_message(text)
        if isinstance(message, SubscribeMessage):
            self.subscribe(message, now)
        elif isinstance(message, UnsubscribeMessage):
            self._end(message.id)
        elif isinstance(message, PingMessage):
            self.send_control("pong")
        else:
            return message
        return None

    def subscribe(self, wish: SubscribeMessage, now: float) -> None:
        """Add a subscription, and request what must be read. Raises `BadMessage`."""
        self._check(wish, now)
        old = self._end(wish.id)
        reason, since = "new", wish.since
        if old is not None and not _is_equivalent(old.request, wish):
            # Changes since then do not include tasks that matched all along.
            reason, since = "filter", None
        if wish.topic == COUNTS:
            # Counts are not in the log, so they cannot be resumed; they are few.
            since = None
        self._add_subscription(wish, reason, since)

    def _add_subscription(
        self, wish: SubscribeMessage, reason: str, since: Cursor | None
    ) -> None:
        sub = Subscription(wish, self._wake, self._task_filter)
        self.subscriptions.add(sub)
        self._begin(sub, reason, since)

    @property
    def task_filter(self) -> Filter | None:
        """Task filter of the token; None: every task is visible."""
        return self._task_filter

    def set_task_filter(self, only: Filter | None) -> None:
        """Restrict all subscriptions to `only`; earlier changes are void."""
        if only == self._task_filter:
            return
        self._task_filter = only
        for sub in list(self.subscriptions):
            self._end(sub.request.id)
            if only is None or sub.request.topic == TASK:
                self._add_subscription(sub.request, "filter", None)
            else:
                self.send_error("forbidden", FORBIDDEN_MESSAGE, sub.request.id)

    def _check(self, wish: SubscribeMessage, now: float) -> None:
        if self._task_filter is not None and wish.topic != TASK:
            raise BadMessage("forbidden", FORBIDDEN_MESSAGE, wish.id)
        self.subscriptions.check_limits(wish)
        if not self._subscribe_bucket.try_acquire(now):
            raise BadMessage(
                "rate", "too many subscribes; wait a second", wish.id, retry=True
            )

    def _end(self, id_: str) -> Subscription | None:
        sub = self.subscriptions.remove(id_)
        if sub is not None:
            # The remaining subscriptions may be complete now, so that a cursor is due.
            self._wake()
        return sub

    def send_error(
        self, code: str, message: str, sub: str | None = None, *, retry: bool = False
    ) -> None:
        """Send an error; the connection stays open."""
        self.send_control("error", id=sub, code=code, message=message, retry=retry)

    def send_control(self, type_: str, **fields: object) -> None:
        """Send a control frame (`hello`, `status`, `bye`)."""
        self._enqueue(frames.encode_control(type_, **fields))

    def _enqueue(self, frame: bytes) -> None:
        self._control.append(frame)
        self._wake()

    def close(self, code: int, reason: str) -> None:
        """Request the end of the connection."""
        self.closing = self.closing or (code, reason)
        self._wake()

    def take_control_frames(self) -> list[bytes]:
        """Return the pending control frames, and clear them."""
        if not self._control:
            return []
        said, self._control = self._control, []
        return said

    # -- reads -----------------------------------------------------------------

    def _begin(
        self, sub: Subscription, reason: str, since: Cursor | None = None
    ) -> None:
        self.read_requests.append(sub.begin(reason, self._hub.pos, since))
        self._wake()

    def is_current(self, read: ReadRequest) -> bool:
        """Return True if `read` is still needed."""
        return self.subscriptions.has(read.sub) and read.sub.is_waiting_for(read)

    def on_replay(self, read: ReadRequest, entries: Sequence[LogEntry]) -> None:
        """Go live with the changes since the cursor. `entries` are consecutive."""
        rest = read.sub.on_replay(read.since or START, entries)
        if rest is not None:
            self.read_requests.append(rest)
        # Without changes, a bookmark says that it is complete.
        self._sent_cursor = None
        self._wake()

    def on_final_ids(self, read: ReadRequest, tasks: Iterable[tuple[str, str]]) -> None:
        """Record which tasks of a subscription are final: (id, rev) of each."""
        read.sub.on_final_ids(tasks, self._hub.pos)
        self._wake()

    def restart(self, read: ReadRequest, reason: str) -> None:
        """Read a snapshot instead."""
        if self.is_current(read):
            self._count(reason)
            self._begin(read.sub, reason)

    def retry(self, read: ReadRequest) -> None:
        """Request `read` again: the store did not respond."""
        if read.finals or read.since is not None:
            self.read_requests.append(read)
            self._wake()
        else:
            # The pages of the snapshot read so far are invalid.
            self.restart(read, "new")

    def on_page(self, read: ReadRequest, rows: Sequence[SnapshotRow]) -> None:
        """Send a page of the snapshot.

        The previous page is sent; the last one waits in `on_snapshot_end` for its
        cursor.
        """
        part = read.sub.on_page(rows)
        for some in part.split() if part is not None else ():
            self._enqueue(some.encode())

    def on_snapshot_end(self, read: ReadRequest, end: Cursor) -> None:
        """Record that the snapshot was read; `end` was the log's end afterwards."""
        read.sub.on_snapshot_end(end)
        # It becomes live when the log has been read up to the end of the snapshot.
        self._hub.call_when_reached(end, self._wake)

    def fail(self, read: ReadRequest, code: str, message: str, *, retry: bool) -> None:
        """Send an error for a subscription, and remove it."""
        if self.is_current(read):
            self._end(read.sub.request.id)
            self.send_error(code, message, read.sub.request.id, retry=retry)
            self._refuse(code)

    def _refuse(self, code: str) -> None:
        if code in LIMIT_CODES:
            self._metrics.count_refusal(code)

    # -- frames ----------------------------------------------------------------

    def take_data_frames(self, now: float) -> list[bytes]:
        """Return the pending changes as frames; the last has the
        cursor, if that is safe."""
        if self.closing:
            return []
        pos, subs = self._hub.pos, self.subscriptions
        parts: list[DataFrame] = []
        self.changed_at = None
        safe, has_done = bool(subs), False
        for sub in subs:
            if sub.subscriber.reset:
                self._reset(sub)
            self.changed_at = self.changed_at or sub.changed_at
            parts += sub.take_frames(pos)
            safe = safe and sub.is_live
            has_done = has_done or sub.is_done
        # A cursor covers all subscriptions of a connection.
        alone = safe and len(subs) == 1
        out = [part.encode(part.until if alone else None) for part in parts[:-1]]
        if parts:
            out.append(parts[-1].encode(pos if safe else None))
        elif safe and self._is_bookmark_due(pos, now):
            lag = self._lag_ms(now)
            out.append(frames.encode_control("cursor", cursor=str(pos), lag_ms=lag))
        if safe and out:
            self._sent_cursor, self._sent_at = pos, now
        if has_done:
            out += self._end_finished()
        return out

    def compute_bookmark_delay(self, now: float) -> float:
        """Return the seconds until a bookmark is due."""
        return max(self._sent_at + self._heartbeat - now, 0.0)

    def _reset(self, sub: Subscription) -> None:
        reason, sub.subscriber.reset = sub.subscriber.reset, ""
        if reason == "slow":
            sub.slow += 1
            if sub.slow > MAX_SLOW:
                self.close(SLOW_CLIENT, "too slow; reconnect, or ask for less")
        self._count(reason)
        self._begin(sub, reason)

    def _count(self, reason: str) -> None:
        self._metrics.resets[reason] = self._metrics.resets.get(reason, 0) + 1

    def _is_bookmark_due(self, pos: Cursor, now: float) -> bool:
        told = self._sent_cursor
        if told is None or pos.epoch != told.epoch:
            return True
        return (
            pos.n - told.n >= BOOKMARK_CHANGES
            or self.compute_bookmark_delay(now) == 0.0
        )

    def _end_finished(self) -> list[bytes]:
        """End subscriptions whose ids are all final."""
        done = [sub.request.id for sub in self.subscriptions if sub.is_done]
        for id_ in done:
            self._end(id_)
        return [frames.encode_control("done", id=id_) for id_ in done]

    def end(self) -> None:
        """Remove all subscriptions."""
        for sub in list(self.subscriptions):
            self._end(sub.request.id)


def _is_equivalent(one: SubscribeMessage, other: SubscribeMessage) -> bool:
    return (one.topic, one.filter, one.fields) == (
        other.topic,
        other.filter,
        other.fields,
    )
