"""Tasks and resources that somebody watches, as the hub tells of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType

from herald_monitor.model.changes import Change
from herald_monitor.model.events import MAX_ID
from herald_monitor.model.filters import Filter
from herald_server.hub import Hub, Watcher
from herald_server.mcp import describing
from herald_server.mcp.pulse import Pulse
from herald_server.mcp.resources import ACTIVE, TASK

MOST = 1_000
"""URIs and tasks that one subscription may name."""


def watchable(uri: str) -> bool:
    """Say whether `uri` names something that changes."""
    return uri == ACTIVE or (
        uri.startswith(TASK) and 0 < len(uri) - len(TASK) <= MAX_ID
    )


class Watching(AbstractContextManager["Watching"]):
    """What of `uris` and `task_ids` changed: `task://ID`, `tasks://active`, bare ids.

    As a context: watched from its beginning to its end.
    """

    def __init__(
        self, hub: Hub, uris: Iterable[str] = (), task_ids: Iterable[str] = ()
    ) -> None:
        self._hub = hub
        self._ready = asyncio.Event()
        self._ended = False
        self._pulse = Pulse()
        self._uris = frozenset(uris)
        self._tasks = frozenset(task_ids)
        self._watchers = [
            Watcher(filter_, self._ready.set) for filter_ in self._filters()
        ]

    def _filters(self) -> list[Filter]:
        ids = {u.removeprefix(TASK) for u in self._uris if u.startswith(TASK)}
        filters = [Filter(ids=tuple(ids | self._tasks))] if ids or self._tasks else []
        if ACTIVE in self._uris:
            filters.append(Filter(state=describing.ACTIVE))
        return filters

    def __enter__(self) -> Watching:
        for watcher in self._watchers:
            self._hub.watch(watcher)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for watcher in self._watchers:
            self._hub.drop(watcher)

    def again(self, thing: str) -> None:
        """Have `thing` told once more: it could not be told now."""
        self._pulse.note(thing, _now())

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
        for watcher in self._watchers:
            if watcher.reset:
                # Something was missed, so anything may have changed.
                watcher.reset = ""
                for thing in self._uris | self._tasks:
                    self._pulse.note(thing, now)
            by_ids = watcher.filter.ids is not None
            for change in watcher.take():
                for thing in self._concerned(change) if by_ids else (ACTIVE,):
                    self._pulse.note(thing, now, by_ids and _ends(change))

    def _concerned(self, change: Change) -> Iterable[str]:
        uri = TASK + change.id
        if uri in self._uris:
            yield uri
        if change.id in self._tasks:
            yield change.id


def _ends(change: Change) -> bool:
    return change.task is not None and change.task.final


def _now() -> float:
    return asyncio.get_running_loop().time()
