"""Who watches what, and what they have not been told yet. No I/O.

Each watcher has a map of pending changes by id, so that gathering many changes
into one frame and dropping outdated ones are the same thing. Nobody waits for
anybody: a watcher that does not take its changes keeps at most `MAX_PENDING`
of them, then forgets them all and is told to start over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from herald_monitor.model.changes import TASK, WORKER, Change, Entry
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.filters import Filter

MAX_PENDING = 10_000

COUNTS = "c"
TOPICS = {"tasks": TASK, "workers": WORKER, "counts": COUNTS}
"""What can be watched, by its name on the wire."""


class Watcher:
    """One subscription: what it asks for, and what it has not been told yet.

    `wake` is called when there is something to take; it must not block.
    `reset` holds the reason while everything told before is void.
    """

    __slots__ = ("every", "filter", "pending", "reset", "topic", "wake")

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
        self.every = every
        """Whether each transition is told, not only the latest."""
        self.pending: dict[str, Change] = {}
        self.reset = ""

    def offer(self, change: Change) -> None:
        """Take note of `change` if it is asked for, now or before it happened."""
        if self.reset or not self._concerns(change):
            return
        key = change.rev if self.every else change.id
        known = self.pending.get(key)
        if known is not None and known.place >= change.place:
            return
        self.pending[key] = change
        if len(self.pending) > MAX_PENDING:
            self.start_over("slow")

    def _concerns(self, change: Change) -> bool:
        if change.task is None:
            return True
        if not change.gone and self.filter.matches(change.task):
            return True
        return change.before is not None and self.filter.matched(
            change.task, change.before
        )

    def leaves(self, change: Change) -> bool:
        """Say whether `change` takes its task out of what is asked for."""
        if change.gone:
            return True
        return change.task is not None and not self.filter.matches(change.task)

    def start_over(self, reason: str) -> None:
        """Void everything: the next thing told is a fresh snapshot."""
        self.pending.clear()
        self.reset = reason

    def take(self) -> list[Change]:
        """Return what is pending, in order, and forget it."""
        changes = list(self.pending.values())
        self.pending.clear()
        return changes


class Hub:
    """All watchers of this process. `pos` is how far the log was read."""

    def __init__(self) -> None:
        self.pos: Cursor = START
        self._watchers: dict[str, set[Watcher]] = {
            kind: set() for kind in TOPICS.values()
        }
        self._listeners: set[Callable[[Entry], None]] = set()

    def watch(self, watcher: Watcher) -> Cursor:
        """Register `watcher`; it is offered everything behind the cursor returned."""
        self._watchers[watcher.topic].add(watcher)
        return self.pos

    def drop(self, watcher: Watcher) -> None:
        """Forget `watcher`. Doing so twice is no error."""
        self._watchers[watcher.topic].discard(watcher)

    def listen(self, listener: Callable[[Entry], None]) -> Callable[[], None]:
        """Call `listener` with each entry; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def watchers(self) -> int:
        """Return how many subscriptions there are."""
        return sum(len(w) for w in self._watchers.values())

    def watched(self, topic: str) -> bool:
        """Say whether anybody watches `topic`."""
        return bool(self._watchers[topic])

    def publish(self, entry: Entry) -> None:
        """Offer what `entry` changed to all watchers, and move on."""
        self.pos = entry.cursor
        touched = self.offer(entry.changes)
        for watcher in touched:
            watcher.wake()
        for listener in list(self._listeners):
            listener(entry)

    def offer(self, changes: Iterable[Change]) -> set[Watcher]:
        """Offer `changes` and return who has something to take."""
        touched: set[Watcher] = set()
        for change in changes:
            for watcher in self._watchers.get(change.kind, ()):
                watcher.offer(change)
                if watcher.pending or watcher.reset:
                    touched.add(watcher)
        return touched

    def start_over(self, pos: Cursor, reason: str) -> None:
        """Go on from `pos` after history was lost; every watcher starts over.

        The position moves first: a watcher that registers meanwhile must not
        believe that it stands before the break.
        """
        self.pos = pos
        for watchers in self._watchers.values():
            for watcher in list(watchers):
                watcher.start_over(reason)
                watcher.wake()
