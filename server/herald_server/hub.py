"""Who watches what, and what they have not been told yet. No I/O.

Each watcher has a map of pending changes by id, so that gathering many changes
into one frame and dropping outdated ones are the same thing. Nobody waits for
anybody: a watcher that does not take its changes keeps at most `MAX_PENDING` of
them, and `MAX_BYTES` of images, then forgets them all and is told to start over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice, takewhile

from herald_monitor.model.changes import QUEUE, TASK, WORKER, Change, Entry
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.filters import Filter
from herald_server.filter_index import FilterIndex
from herald_server.stalled import StalledShare

MAX_PENDING = 10_000
MAX_BYTES = 4 * 1024 * 1024

BOOKMARK_EVERY = 500
"""Log entries after which everybody is woken, to take a fresh cursor at least."""

RECENT = 5_000
"""Changes that are remembered, so that who comes back after a moment is told from
here: of all who come back at once, none has the log read for itself."""

RECENT_BYTES = 6 * 1024 * 1024
"""Bytes of their images: with long arguments and tracebacks one has up to 50 KB."""

COUNTS = "c"
TOPICS = {"tasks": TASK, "workers": WORKER, "queues": QUEUE, "counts": COUNTS}
"""What can be watched, by its name on the wire."""


class Watcher:
    """One subscription: what it asks for, and what it has not been told yet.

    `wake` is called when there is something to take; it must not block.
    `reset` holds the reason while everything told before is void.
    """

    __slots__ = (
        *("asleep", "every", "filter", "pending", "reset"),
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
        self.asleep = False
        """Whether nothing is noted: all of it is still to be read."""
        self.share: StalledShare | None = None
        """What it may keep while its client takes nothing."""
        self.every = every
        """Whether each transition is told, not only the latest."""
        self.pending: dict[str, Change] = {}
        self.size = 0
        """Bytes of the images that are pending."""
        self.reset = ""

    def offer(self, change: Change) -> None:
        """Take note of `change` if it is asked for, now or before it happened."""
        if concerns(self.filter, change):
            self.note(change)

    def note(self, change: Change) -> None:
        """Take note of a change that is asked for. The newest of an id stays."""
        if self.asleep or self.reset:
            return
        key = change.rev if self.every else change.id
        known = self.pending.get(key)
        if known is not None:
            if known.place >= change.place:
                return
            self.size -= len(known.json)
        self.pending[key] = change
        self.size += len(change.json)
        if len(self.pending) > MAX_PENDING or self.size > MAX_BYTES:
            self.start_over("slow")
        elif self.share is not None:
            self.keep_share(self.share)

    def keep_share(self, share: StalledShare) -> None:
        """Start over if more is pending than the part of a stalled client."""
        if len(self.pending) > share.changes or self.size > share.images:
            self.start_over("slow")

    def leaves(self, change: Change) -> bool:
        """Say whether `change` takes its task out of what is asked for."""
        if change.gone:
            return True
        return change.task is not None and not self.filter.matches(change.task)

    def start_over(self, reason: str) -> None:
        """Void everything: the next thing told is a fresh snapshot."""
        self.take()
        self.reset = reason

    def take(self) -> list[Change]:
        """Return what is pending, in order, and forget it."""
        changes = list(self.pending.values())
        self.pending.clear()
        self.size = 0
        return changes


def concerns(filter_: Filter, change: Change) -> bool:
    """Say whether whoever asks for `filter_` must hear of `change`."""
    if change.task is None:
        return True
    if change.before is not None and filter_.matched(change.task, change.before):
        return True
    if change.gone:
        # Nobody knows any more what it was, so everybody is told that it is gone.
        return change.before is None and _may_have(filter_, change.id)
    return filter_.matches(change.task)


def _may_have(filter_: Filter, id_: str) -> bool:
    """Say whether who asks for `filter_` may be told that `id_` ran out.

    Who was narrowed is not told of ids that are perhaps none of theirs.
    """
    if filter_.ids is not None and id_ not in filter_.ids:
        return False
    also = filter_.also
    return also is None or (also.ids is not None and _may_have(also, id_))


class _Group:
    """The watchers that ask for the same."""

    __slots__ = ("filter", "watchers")

    def __init__(self, filter_: Filter) -> None:
        self.filter = filter_
        self.watchers: set[Watcher] = set()


class _Room:
    """The watchers of one topic. What many ask for alike is compared once."""

    def __init__(self) -> None:
        self.all: set[Watcher] = set()
        self._groups: dict[Filter, _Group] = {}
        self._index: FilterIndex[_Group] = FilterIndex()

    def add(self, watcher: Watcher) -> None:
        self.all.add(watcher)
        group = self._groups.get(watcher.filter)
        if group is None:
            group = self._groups[watcher.filter] = _Group(watcher.filter)
            self._index.add(group.filter, group)
        group.watchers.add(watcher)

    def discard(self, watcher: Watcher) -> None:
        self.all.discard(watcher)
        group = self._groups.get(watcher.filter)
        if group is not None:
            group.watchers.discard(watcher)
            if not group.watchers:
                self._index.discard(group.filter, group)
                del self._groups[group.filter]

    def offer(self, change: Change, touched: set[Watcher]) -> None:
        for group in self._index.candidates(change):
            if concerns(group.filter, change):
                for watcher in group.watchers:
                    watcher.note(change)
                touched |= group.watchers


class Hub:
    """All watchers of this process. `pos` is how far the log was read."""

    def __init__(self) -> None:
        self.pos: Cursor = START
        self._rooms = {kind: _Room() for kind in TOPICS.values()}
        self._listeners: set[Callable[[Entry], None]] = set()
        self._awaited: list[tuple[Cursor, Callable[[], None]]] = []
        self._recent: deque[Entry] = deque()
        self._changes = 0
        """How many changes are remembered."""
        self._bytes = 0
        """Bytes of their images."""

    def watch(self, watcher: Watcher) -> Cursor:
        """Register `watcher`; it is offered everything behind the cursor returned."""
        self._rooms[watcher.topic].add(watcher)
        return self.pos

    def drop(self, watcher: Watcher) -> None:
        """Forget `watcher`. Doing so twice is no error."""
        self._rooms[watcher.topic].discard(watcher)

    def listen(self, listener: Callable[[Entry], None]) -> Callable[[], None]:
        """Call `listener` with each entry; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def reach(self, cursor: Cursor, wake: Callable[[], None]) -> None:
        """Call `wake` once the log has been read up to `cursor`."""
        self._awaited.append((cursor, wake))
        self._tell_reached()

    def _tell_reached(self) -> None:
        reached = [wake for cursor, wake in self._awaited if cursor <= self.pos]
        self._awaited = [one for one in self._awaited if one[0] > self.pos]
        for wake in reached:
            wake()

    def watchers(self, topic: str | None = None) -> int:
        """Return how many subscriptions there are, of `topic` or of all."""
        rooms = self._rooms.values() if topic is None else [self._rooms[topic]]
        return sum(len(room.all) for room in rooms)

    def watched(self, topic: str) -> bool:
        """Say whether anybody watches `topic`."""
        return bool(self._rooms[topic].all)

    def publish(self, entry: Entry) -> None:
        """Offer what `entry` changed to all watchers, and move on."""
        self.pos = entry.cursor
        self._remember(entry)
        touched = self.offer(entry.changes)
        if entry.cursor.n % BOOKMARK_EVERY == 0:
            touched = self._everybody()
        for watcher in touched:
            watcher.wake()
        if self._awaited:
            self._tell_reached()
        for listener in list(self._listeners):
            listener(entry)

    def _remember(self, entry: Entry) -> None:
        self._recent.append(entry)
        self._count(entry, 1)
        while (
            self._changes > RECENT
            or len(self._recent) > RECENT
            or self._bytes > RECENT_BYTES
        ):
            self._count(self._recent.popleft(), -1)

    def _count(self, entry: Entry, times: int) -> None:
        self._changes += times * len(entry.changes)
        self._bytes += times * sum(len(change.json) for change in entry.changes)

    def recent(self, since: Cursor, until: Cursor) -> list[Entry] | None:
        """Return the entries behind `since` up to `until`, if all are remembered."""
        if not self._recent or self._recent[0].cursor.epoch != since.epoch:
            return None
        # They are numbered without a gap.
        known = since.n + 1 - self._recent[0].cursor.n
        if known < 0 or until > self.pos:
            return None
        found = list(
            takewhile(
                lambda entry: entry.cursor <= until, islice(self._recent, known, None)
            )
        )
        # Another process may have met the entries of several logs in another order.
        if found and not found[0].cursor.follows(since):
            return None
        return found if found or since >= until else None

    def offer(self, changes: Iterable[Change]) -> set[Watcher]:
        """Offer `changes` and return who has something to take."""
        touched: set[Watcher] = set()
        for change in changes:
            room = self._rooms.get(change.kind)
            if room is not None:
                room.offer(change, touched)
        return touched

    def _everybody(self) -> set[Watcher]:
        return {w for room in self._rooms.values() for w in room.all}

    def start_over(self, pos: Cursor, reason: str) -> None:
        """Go on from `pos` after history was lost; every watcher starts over.

        The position moves first: a watcher that registers meanwhile must not
        believe that it stands before the break.
        """
        self.pos = pos
        self._recent.clear()
        self._changes = self._bytes = 0
        for watcher in self._everybody():
            watcher.start_over(reason)
            watcher.wake()
        # Whoever waited for the old history has just been told to start over.
        self._awaited.clear()
