"""Watch tasks and resources through the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

from herald_core.model.changes import TASK as TASKS
from herald_core.model.changes import WORKER as WORKERS
from herald_core.model.changes import Change
from herald_core.model.filters import Filter
from herald_server.auth import request_context
from herald_server.auth.quotas.watched_values import hold_filter_values
from herald_server.mcp.answers import presenters
from herald_server.mcp.resources.throttle import Throttle
from herald_server.mcp.uris import (
    ACTIVE,
    FAILED,
    FAILURES,
    GROUP,
    HEALTH,
    TASK,
    WORKER,
    parse_name,
)
from herald_server.push.log.hub import Hub, Subscriber
from herald_server.push.status import ServerStatus

MAX_WATCHED = 1_000
"""URIs and tasks that one subscription can name."""

Names = dict[str, list[str]]
"""Names by id: its URIs, and the id itself if it is watched as a task."""


class ResourceWatcher(AbstractContextManager["ResourceWatcher"]):
    """Watches `uris` and `task_ids` for changes.

    As a context manager, it watches within the block. Entering it raises
    `QuotaExceeded` if its token watches too much already.
    """

    def __init__(
        self,
        hub: Hub,
        status: ServerStatus,
        uris: Iterable[str] = (),
        task_ids: Iterable[str] = (),
    ) -> None:
        self._hub = hub
        self._status = status
        self._ready = asyncio.Event()
        self._is_ended = False
        self._throttle = Throttle()
        self._uris = frozenset(uris)
        self._tasks = frozenset(task_ids)
        self._sources = self._make_sources()
        self._until = ExitStack()

    def _make_sources(self) -> list[_Source]:
        tasks = _group_by_name(self._uris, TASK)
        for id_ in self._tasks:
            tasks.setdefault(id_, []).append(id_)
        found = [self._watch_ids(tasks, TASKS)] if tasks else []
        # For a task-scoped token no workers exist, so none changes.
        workers = (
            _group_by_name(self._uris, WORKER)
            if request_context.get_task_filter() is None
            else {}
        )
        found += [self._watch_ids(workers, WORKERS)] if workers else []
        found += [
            self._watch_filter(Filter(group=(group,)), uris)
            for group, uris in _group_by_name(self._uris, GROUP).items()
        ]
        lists = {ACTIVE: presenters.ACTIVE_STATES, FAILED: FAILURES}
        return found + [
            self._watch_filter(Filter(state=states), [uri])
            for uri, states in lists.items()
            if uri in self._uris
        ]

    def _watch_ids(self, names: Names, topic: str) -> _Source:
        filter_ = Filter(ids=tuple(names)).intersect(request_context.get_task_filter())
        watcher = Subscriber(filter_, self._ready.set, topic)
        return _Source(watcher, lambda change: names.get(change.id, ()))

    def _watch_filter(self, filter_: Filter, uris: list[str]) -> _Source:
        narrowed = filter_.intersect(request_context.get_task_filter())
        return _Source(Subscriber(narrowed, self._ready.set), lambda _: uris)

    def __enter__(self) -> ResourceWatcher:
        self._until.enter_context(hold_filter_values(len(self._uris | self._tasks)))
        for source in self._sources:
            self._hub.subscribe(source.subscriber)
            self._until.callback(self._hub.unsubscribe, source.subscriber)
        if HEALTH in self._uris:
            self._until.callback(self._status.add_listener(lambda: self.repeat(HEALTH)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._until.close()

    def repeat(self, thing: str) -> None:
        """Report `thing` as changed, again if needed."""
        self._throttle.record(thing, _read_clock())
        self._ready.set()

    def end(self) -> None:
        """Stop waiting consumers."""
        self._is_ended = True
        self._ready.set()

    async def wait_for_changes(self) -> list[str]:
        """Wait for changes and return the URIs and task ids that changed.

        Returns nothing once it was ended.
        """
        while not self._is_ended:
            self._ready.clear()
            self._gather(_read_clock())
            due = self._throttle.take_due(_read_clock())
            if due:
                return due
            try:
                async with asyncio.timeout(self._throttle.compute_delay(_read_clock())):
                    await self._ready.wait()
            except TimeoutError:
                continue
        return []

    def _gather(self, now: float) -> None:
        for source in self._sources:
            if source.subscriber.reset:
                # Changes were missed, so everything may have changed.
                source.subscriber.reset = ""
                for thing in self._uris | self._tasks:
                    self._throttle.record(thing, now)
            for change in source.subscriber.drain():
                for thing in source.to_things(change):
                    self._throttle.record(thing, now, self._is_urgent(thing, change))

    def _is_urgent(self, thing: str, change: Change) -> bool:
        """Return True if `thing` must not be delayed: its task ended
        or changed its state."""
        task = change.task
        if task is None:
            return False
        if thing in self._tasks:
            return change.before is None or change.before.state != task.state
        return task.final and thing.startswith(TASK)


class _Source:
    """A subscriber, and a function from its changes to URIs and ids."""

    def __init__(
        self, watcher: Subscriber, tells: Callable[[Change], Iterable[str]]
    ) -> None:
        self.subscriber = watcher
        self.to_things = tells


def _group_by_name(uris: Iterable[str], scheme: str) -> Names:
    """Return the names in `uris` after `scheme`, each with its URIs."""
    found: Names = {}
    for uri in uris:
        name = parse_name(uri, scheme)
        if name:
            found.setdefault(name, []).append(uri)
    return found


def _read_clock() -> float:
    return asyncio.get_running_loop().time()
