"""Subscribers of this process and their pending changes. No I/O.

Each subscriber has a map of pending changes by id, so a newer change replaces an older
one. No subscriber waits for another: one that does not drain its changes keeps at most
`MAX_PENDING` of them and `MAX_PENDING_BYTES` of JSON, then drops them and must start
over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice, takewhile

import msgspec

from herald_core.model.changes import QUEUE, TASK, WORKER, Change, LogEntry
from herald_core.model.cursor import START, Cursor
from herald_core.model.documents import DOCUMENT_KINDS
from herald_core.model.filters import Filter
from herald_core.model.hidden_fields import hide_in_change
from herald_server.auth.quotas.stalled_clients import StalledShare
from herald_server.push.log.filter_index import FilterIndex

MAX_PENDING = 10_000
MAX_PENDING_BYTES = 4 * 1024 * 1024

BOOKMARK_CHANGES = 500
"""Log entries after which all subscribers are woken to get a new cursor."""

MAX_RECENT_CHANGES = 5_000
"""Changes kept in memory, so that clients that reconnect soon are served without
reading the log."""

MAX_RECENT_BYTES = 6 * 1024 * 1024
"""Bytes of their images: with long arguments and tracebacks one has up to 50 KB."""

COUNTS = "c"
TOPICS = {
    **{"tasks": TASK, "workers": WORKER, "queues": QUEUE, "counts": COUNTS},
    **{kind: kind for kind in DOCUMENT_KINDS},
}
"""What can be watched, by its name on the wire."""


class Subscriber:
    """One subscription: its filter and its pending changes.

    `wake` is called when there are changes to take; it must not block. `reset` is the
    reason why all earlier changes are void.
    """

    __slots__ = (
        *("is_asleep", "all_transitions", "filter", "pending", "reset"),
        *("share", "size", "topic", "wake"),
    )

    def __init__(
        self,
        filter_: Filter,
        wake: Callable[[], None],
        topic: str = TASK,
        every: bool = False,
    ) -> None:
        self.filter = filter_
        self.wake = wake
        self.topic = topic
        self.is_asleep = False
        """Whether changes are not collected, because all of it is still to be read."""
        self.share: StalledShare | None = None
        """Limit of what is kept while its client reads nothing."""
        self.all_transitions = every
        """Whether each transition is sent, not only the latest."""
        self.pending: dict[str, Change] = {}
        self.size = 0
        """Bytes of the images that are pending."""
        self.reset = ""

    def offer(self, change: Change) -> None:
        """Add `change` if it matches the filter, now or before."""
        shown = select_change(self.filter, change)
        if shown is not None:
            self.enqueue(shown)

    def enqueue(self, change: Change) -> None:
        """Add a change as `select_change` returned it.

        It replaces an older one of the same id.
        """
        if self.is_asleep or self.reset:
            return
        key = change.rev if self.all_transitions else change.id
        pending = self.pending
        if key in pending:
            known = pending[key]
            if known.place >= change.place:
                return
            self.size -= len(known.json)
        pending[key] = change
        self.size += len(change.json)
        if len(pending) > MAX_PENDING or self.size > MAX_PENDING_BYTES:
            self.require_reset("slow")
        elif self.share is not None:
            self.limit_to_share(self.share)

    def limit_to_share(self, share: StalledShare) -> None:
        """Start over if more is pending than the share of a stalled client."""
        if len(self.pending) > share.changes or self.size > share.images:
            self.require_reset("slow")

    def require_reset(self, reason: str) -> None:
        """Drop all pending changes: a new snapshot is needed."""
        self.drain()
        self.reset = reason

    def drain(self) -> list[Change]:
        """Return the pending changes, in order, and clear them."""
        changes = list(self.pending.values())
        self.pending.clear()
        self.size = 0
        return changes


def is_relevant(filter_: Filter, change: Change) -> bool:
    """Return True if subscribers of `filter_` must get `change`."""
    return select_change(filter_, change) is not None


def select_change(filter_: Filter, change: Change) -> Change | None:
    """Return `change` as subscribers of `filter_` see it; None if it is not theirs.

    It is the same object unless fields are hidden or the task left the filter.
    """
    if change.task is None:
        return change
    if not change.is_deletion and filter_.matches(change.task):
        return hide_in_change(change, filter_)
    if change.before is not None and filter_.matches(change.task, change.before):
        left = not change.is_deletion
        return msgspec.structs.replace(hide_in_change(change, filter_), has_left=left)
    # Its values are unknown, so it is reported as gone to all subscribers.
    is_unknown = change.is_deletion and change.before is None
    if is_unknown and _can_contain(filter_, change.id):
        return hide_in_change(change, filter_)
    return None


def _can_contain(filter_: Filter, id_: str) -> bool:
    """Return True if subscribers of `filter_` may learn that `id_` expired.

    A task-scoped token must not learn of ids outside its filter.
    """
    if filter_.ids is not None and id_ not in filter_.ids:
        return False
    also = filter_.also
    return also is None or (also.ids is not None and _can_contain(also, id_))


class _SubscriberGroup:
    """The subscribers of one filter."""

    __slots__ = ("filter", "subscribers")

    def __init__(self, filter_: Filter) -> None:
        self.filter = filter_
        self.subscribers: set[Subscriber] = set()


class _Topic:
    """The subscribers of one topic. Each distinct filter is tested once per change."""

    def __init__(self) -> None:
        self.all: set[Subscriber] = set()
        self._groups: dict[Filter, _SubscriberGroup] = {}
        self.index: FilterIndex[_SubscriberGroup] = FilterIndex()

    def add(self, watcher: Subscriber) -> None:
        self.all.add(watcher)
        group = self._groups.get(watcher.filter)
        if group is None:
            group = self._groups[watcher.filter] = _SubscriberGroup(watcher.filter)
            self.index.add(group.filter, group)
        # Equal filters are one object: each holds its compiled patterns.
        watcher.filter = group.filter
        group.subscribers.add(watcher)

    def discard(self, watcher: Subscriber) -> None:
        self.all.discard(watcher)
        group = self._groups.get(watcher.filter)
        if group is not None:
            group.subscribers.discard(watcher)
            if not group.subscribers:
                self.index.discard(group.filter, group)
                del self._groups[group.filter]


class Hub:
    """All subscribers of this process. `pos` is the position up to
    which the log was read."""

    def __init__(self) -> None:
        self.pos: Cursor = START
        self._topics = {kind: _Topic() for kind in TOPICS.values()}
        self._listeners: set[Callable[[LogEntry], None]] = set()
        self._waiters: list[tuple[Cursor, Callable[[], None]]] = []
        self._recent: deque[LogEntry] = deque()
        self._changes = 0
        """How many changes are remembered."""
        self._bytes = 0
        """Bytes of their images."""

    def subscribe(self, watcher: Subscriber) -> Cursor:
        """Add `watcher`; it is offered all changes after the returned cursor."""
        self._topics[watcher.topic].add(watcher)
        return self.pos

    def unsubscribe(self, watcher: Subscriber) -> None:
        """Remove `watcher`; it may be removed already."""
        self._topics[watcher.topic].discard(watcher)

    def add_listener(self, listener: Callable[[LogEntry], None]) -> Callable[[], None]:
        """Call `listener` with each entry; return a function that stops it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def call_when_reached(self, cursor: Cursor, wake: Callable[[], None]) -> None:
        """Call `wake` once the log was read up to `cursor`."""
        self._waiters.append((cursor, wake))
        self._call_reached()

    def _call_reached(self) -> None:
        reached = [wake for cursor, wake in self._waiters if cursor <= self.pos]
        self._waiters = [one for one in self._waiters if one[0] > self.pos]
        for wake in reached:
            wake()

    def count_subscribers(self, topic: str | None = None) -> int:
        """Return the number of subscriptions to `topic`, or to all."""
        rooms = self._topics.values() if topic is None else [self._topics[topic]]
        return sum(len(room.all) for room in rooms)

    def has_subscribers(self, topic: str) -> bool:
        """Return True if `topic` has subscribers."""
        return bool(self._topics[topic].all)

    def publish(self, entry: LogEntry) -> None:
        """Offer the changes of `entry` to all subscribers, and advance the position."""
        self.pos = entry.cursor
        self._remember(entry)
        touched = self.offer(entry.changes)
        if entry.cursor.n % BOOKMARK_CHANGES == 0:
            touched = self._list_subscribers()
        for watcher in touched:
            watcher.wake()
        if self._waiters:
            self._call_reached()
        for listener in list(self._listeners):
            listener(entry)

    def _remember(self, entry: LogEntry) -> None:
        self._recent.append(entry)
        self._changes += len(entry.changes)
        self._bytes += sum([len(change.json) for change in entry.changes])
        while (
            self._changes > MAX_RECENT_CHANGES
            or len(self._recent) > MAX_RECENT_CHANGES
            or self._bytes > MAX_RECENT_BYTES
        ):
            oldest = self._recent.popleft()
            self._changes -= len(oldest.changes)
            self._bytes -= sum([len(change.json) for change in oldest.changes])

    def list_recent(self, since: Cursor, until: Cursor) -> list[LogEntry] | None:
        """Return the entries after `since` up to `until`, if all are in memory."""
        if not self._recent or self._recent[0].cursor.epoch != since.epoch:
            return None
        # Their numbers have no gaps.
        known = since.n + 1 - self._recent[0].cursor.n
        if known < 0 or until > self.pos:
            return None
        found = list(
            takewhile(
                lambda entry: entry.cursor <= until, islice(self._recent, known, None)
            )
        )
        # Another process may have read the entries of several logs in another order.
        if found and not found[0].cursor.is_next_after(since):
            return None
        return found if found or since >= until else None

    def offer(self, changes: Iterable[Change]) -> set[Subscriber]:
        """Offer `changes` and return the subscribers that have pending changes."""
        touched: set[Subscriber] = set()
        for change in changes:
            room = self._topics.get(change.kind)
            for group in room.index.find_candidates(change) if room else ():
                # Once for all of them: which part they see is theirs in common.
                shown = select_change(group.filter, change)
                if shown is not None:
                    for watcher in group.subscribers:
                        watcher.enqueue(shown)
                    touched |= group.subscribers
        return touched

    def _list_subscribers(self) -> set[Subscriber]:
        return {w for room in self._topics.values() for w in room.all}

    def reset(self, pos: Cursor, reason: str) -> None:
        """Continue from `pos` after history was lost; every subscriber starts over.

        The position is set first: a subscriber that registers meanwhile must not assume
        a position before the break.
        """
        self.pos = pos
        self._recent.clear()
        self._changes = self._bytes = 0
        for watcher in self._list_subscribers():
            watcher.require_reset(reason)
            watcher.wake()
        # Subscribers that waited for the old history have just been reset.
        self._waiters.clear()
