"""Client of a Herald server for threads: watch, read, start and cancel tasks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, Literal, Unpack, overload
from weakref import WeakSet

from herald_client import requests
from herald_client.client.following import (
    DocumentTopic,
    PageWalk,
    TaskTracker,
    Topic,
    make_protocol,
    make_timed_out,
)
from herald_client.client.sync_calls import SyncCalls, SyncOrderClient
from herald_client.connection.sync_http import SyncRequestSender, SyncTokens
from herald_client.connection.sync_watch import SyncWatch
from herald_client.connection.token_source import Renew
from herald_client.connection.url import find_server_url
from herald_client.connection.watch_state import Notify
from herald_client.models.answers import FilterKeys, TaskList
from herald_client.models.changes import CountImage
from herald_client.requests.request import Request, T, make_filter
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView

log = logging.getLogger(__name__)


class SyncHerald(SyncCalls):
    """`Herald` without asyncio: for scripts, Django views, notebooks.

    `with SyncHerald(url, token) as herald: …`. It may be used by several threads. Its
    methods, parameters and errors are those of `Herald`; `renew` returns a token.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        tell: Notify | None = None,
        *,
        environment: str | None = None,
        renew: Renew | None = None,
    ) -> None:
        self._server_url = find_server_url(url, token, environment)
        self._notify = tell or log.warning
        self._tokens = SyncTokens(self._server_url.token, renew)
        self._http = SyncRequestSender(self._server_url, self._tokens, self._notify)
        self._watches: WeakSet[SyncWatch[Any]] = WeakSet()

    @property
    def url(self) -> str:
        """Base URL, without the token."""
        return self._server_url.url

    @property
    def orders(self) -> SyncOrderClient:
        """Orders for many tasks: prepare, confirm, list, stop; purge of a queue."""
        return SyncOrderClient(self)

    def send(self, request: Request[T]) -> T:
        """Send a request of `herald_client.requests` and return its answer."""
        return self._http.send(request)

    def __enter__(self) -> SyncHerald:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, those of watches too."""
        for watch in list(self._watches):
            watch.close()
        self._http.close()

    # -- subscriptions -------------------------------------------------------

    @overload
    def watch(
        self,
        *,
        topic: Literal["tasks"] = "tasks",
        limit: int | None = None,
        every: bool = False,
        since: str | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> SyncWatch[TaskView]: ...

    @overload
    def watch(
        self, *, topic: Literal["workers"], since: str | None = None
    ) -> SyncWatch[WorkerView]: ...

    @overload
    def watch(
        self, *, topic: Literal["queues"], since: str | None = None
    ) -> SyncWatch[QueueView]: ...

    @overload
    def watch(
        self, *, topic: DocumentTopic, since: str | None = None
    ) -> SyncWatch[dict[str, Any]]: ...

    @overload
    def watch(self, *, topic: Literal["counts"]) -> SyncWatch[CountImage]: ...

    def watch(
        self,
        *,
        topic: Topic = "tasks",
        limit: int | None = None,
        every: bool = False,
        since: str | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> SyncWatch[Any]:
        """Return what there is and what becomes of it, as `Put`, `Gone`, `Reset`.

        `limit` begins with the newest so many tasks; `every` tells each
        transition, not only the latest; `since` goes on from a `SyncWatch.cursor`.
        """
        protocol = make_protocol(topic, make_filter(filter_), limit, every, since)
        made: SyncWatch[Any] = SyncWatch(
            self._server_url, protocol, self._notify, self._tokens
        )
        self._watches.add(made)
        return made

    def wait(self, task_id: str, timeout: float | None = None) -> TaskView:
        """Return the task once it is final, `LOST`, or known to have ended without an
        event.

        `timeout` is in seconds. Raises `TimedOut`, and `RecordExpired` if its record
        expires first; both hold the `task` as last known.
        """
        last: TaskView | None = None
        for last in self.follow(task_id, timeout):  # noqa: B007
            pass
        assert last is not None
        return last

    def follow(
        self, task_id: str, timeout: float | None = None
    ) -> Generator[TaskView, None, None]:
        """Yield a task now and on each change, until it is final or `LOST`.

        Raises `TimedOut` after `timeout` s, `RecordExpired` if its record expires.
        """
        end = None if timeout is None else time.monotonic() + timeout
        tracker = TaskTracker(self.task(task_id))
        yield tracker.last
        with closing(self.watch(ids=task_id)) as watch:
            stops = tracker.is_over
            while not stops and not watch.is_over:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise make_timed_out(tracker.last, timeout)
                for change in watch.receive(left):
                    changed, stops = tracker.receive(change)
                    if changed is not None:
                        yield changed
                    if stops:
                        break
        tracker.check()

    # -- reads in several requests, or in pieces ---------------------------------

    def tasks(
        self,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        query: str | None = None,
        sort: str | None = None,
        tz: str | None = None,
        progress: Callable[[TaskList], None] | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> Generator[TaskView, None, None]:
        """Yield the tasks that match, newest first, at most `limit`.

        The parameters are those of `Herald.tasks`.
        """
        walk = PageWalk(limit)
        wish: dict[str, Any] = {
            **{"after": after, "before": before, "tz": tz},
            **{"query": query, "sort": sort},
        }
        while (page := walk.plan_page()) is not None:
            found = self.send(requests.tasks.list_tasks(**wish, **page, **filter_))
            walk.add(found)
            if progress is not None:
                progress(found)
            yield from found.tasks

    def export(
        self,
        query: str | None = None,
        *,
        format: Literal["csv", "json", "ndjson"] = "csv",
        columns: Sequence[str] = (),
        limit: int | None = None,
        tz: str | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> Generator[bytes, None, None]:
        """Yield an export of the tasks that match, in pieces, newest first.

        `columns` are fields of a task, and `wait`. The end tells if tasks are missing.
        """
        wish = requests.tasks.export_tasks(
            query, format=format, columns=columns, limit=limit, tz=tz, **filter_
        )
        yield from self._http.stream(wish)

    def workers(self) -> list[WorkerView]:
        """Return every known worker, by hostname."""
        found = self.send(requests.workers.list_workers())
        workers = found.workers
        while found.next is not None:
            found = self.send(requests.workers.list_workers(found.next))
            workers += found.workers
        return workers
