"""Tasks and resources that somebody watches, as the hub tells of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

from herald_monitor.model.changes import TASK as TASKS
from herald_monitor.model.changes import WORKER as WORKERS
from herald_monitor.model.changes import Change
from herald_monitor.model.filters import Filter
from herald_server import caller
from herald_server.held_values import holding_values
from herald_server.hub import Hub, Watcher
from herald_server.mcp import describing
from herald_server.mcp.pulse import Pulse
from herald_server.mcp.uris import (
    ACTIVE,
    FAILED,
    FAILURES,
    GROUP,
    HEALTH,
    TASK,
    WORKER,
    named,
)
from herald_server.status import Status

MOST = 1_000
"""URIs and tasks that one subscription may name."""

Names = dict[str, list[str]]
"""What is told of each id: its URIs, and itself if it is watched as a task."""


class Watching(AbstractContextManager["Watching"]):
    """What of `uris` and `task_ids` changed: URIs, and ids of tasks.

    As a context: watched from its beginning to its end. Entering it raises `TooMany`
    if its token watches too much already.
    """

    def __init__(
        self,
        hub: Hub,
        status: Status,
        uris: Iterable[str] = (),
        task_ids: Iterable[str] = (),
    ) -> None:
        self._hub = hub
        self._status = status
        self._ready = asyncio.Event()
        self._ended = False
        self._pulse = Pulse()
        self._uris = frozenset(uris)
        self._tasks = frozenset(task_ids)
        self._sources = self._made()
        self._until = ExitStack()

    def _made(self) -> list[_Source]:
        tasks = _names(self._uris, TASK)
        for id_ in self._tasks:
            tasks.setdefault(id_, []).append(id_)
        found = [self._of_ids(tasks, TASKS)] if tasks else []
        # To a narrow token there are no workers, so none of them ever changes.
        workers = _names(self._uris, WORKER) if caller.only() is None else {}
        found += [self._of_ids(workers, WORKERS)] if workers else []
        found += [
            self._of(Filter(group=(group,)), uris)
            for group, uris in _names(self._uris, GROUP).items()
        ]
        lists = {ACTIVE: describing.ACTIVE, FAILED: FAILURES}
        return found + [
            self._of(Filter(state=states), [uri])
            for uri, states in lists.items()
            if uri in self._uris
        ]

    def _of_ids(self, names: Names, topic: str) -> _Source:
        asked = Filter(ids=tuple(names)).within(caller.only())
        watcher = Watcher(asked, self._ready.set, topic)
        return _Source(watcher, lambda change: names.get(change.id, ()))

    def _of(self, filter_: Filter, uris: list[str]) -> _Source:
        narrowed = filter_.within(caller.only())
        return _Source(Watcher(narrowed, self._ready.set), lambda _: uris)

    def __enter__(self) -> Watching:
        self._until.enter_context(holding_values(len(self._uris | self._tasks)))
        for source in self._sources:
            self._hub.watch(source.watcher)
            self._until.callback(self._hub.drop, source.watcher)
        if HEALTH in self._uris:
            self._until.callback(self._status.tell(lambda: self.again(HEALTH)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._until.close()

    def again(self, thing: str) -> None:
        """Have `thing` told, once more if it was told already."""
        self._pulse.note(thing, _now())
        self._ready.set()

    def end(self) -> None:
        """Let whoever waits for changes go home."""
        self._ended = True
        self._ready.set()

    async def changed(self) -> list[str]:
        """Wait for changes and return what changed: URIs and task ids.

        Returns nothing once it was ended.
        """
        while not self._ended:
            self._ready.clear()
            self._gather(_now())
            due = self._pulse.due(_now())
            if due:
                return due
            try:
                async with asyncio.timeout(self._pulse.wait(_now())):
                    await self._ready.wait()
            except TimeoutError:
                continue
        return []

    def _gather(self, now: float) -> None:
        for source in self._sources:
            if source.watcher.reset:
                # Something was missed, so anything may have changed.
                source.watcher.reset = ""
                for thing in self._uris | self._tasks:
                    self._pulse.note(thing, now)
            for change in source.watcher.take():
                for thing in source.tells(change):
                    self._pulse.note(thing, now, self._urgent(thing, change))

    def _urgent(self, thing: str, change: Change) -> bool:
        """Say whether `thing` must not wait: a task ended, or took a step."""
        task = change.task
        if task is None:
            return False
        if thing in self._tasks:
            return change.before is None or change.before.state != task.state
        return task.final and thing.startswith(TASK)


class _Source:
    """A watcher, and what each change that it is told of is a change of."""

    def __init__(
        self, watcher: Watcher, tells: Callable[[Change], Iterable[str]]
    ) -> None:
        self.watcher = watcher
        self.tells = tells


def _names(uris: Iterable[str], scheme: str) -> Names:
    """Return the names behind `scheme`, each with the URIs that mean it."""
    found: Names = {}
    for uri in uris:
        name = named(uri, scheme)
        if name:
            found.setdefault(name, []).append(uri)
    return found


def _now() -> float:
    return asyncio.get_running_loop().time()
