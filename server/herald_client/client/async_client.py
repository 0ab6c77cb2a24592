"""Client of a Herald server with asyncio: watch, read, start and cancel tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal, Unpack, overload
from weakref import WeakSet

from herald_client import requests
from herald_client.client.async_calls import AsyncCalls, OrderClient
from herald_client.client.following import (
    DocumentTopic,
    PageWalk,
    TaskTracker,
    Topic,
    make_protocol,
    make_timed_out,
)
from herald_client.connection.http import AsyncTokens, RequestSender
from herald_client.connection.token_source import AsyncRenew
from herald_client.connection.url import find_server_url
from herald_client.connection.watch import Watch
from herald_client.connection.watch_state import Notify
from herald_client.models.answers import FilterKeys, TaskList
from herald_client.models.changes import CountImage
from herald_client.requests.request import Request, T, make_filter
from herald_core.model.tasks.views import UNKNOWN, TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView

log = logging.getLogger(__name__)


class Herald(AsyncCalls):
    """A client of the server at `url` (default HERALD_URL) with `token` (HERALD_TOKEN).

    `environment` (HERALD_ENVIRONMENT) is one of those that the server serves besides
    the default one.

    `tell` is called with messages about lost connections and missing events; without it
    they are logged. `renew` returns a new token, or is a coroutine function that does:
    it is called before the token ends (of a JWT, such as a minted one), and when the
    server refuses it. Every method raises `Unreachable`, `AccessRefused` or
    `ServerProblem`, and `InvalidInput` for an invalid filter.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        tell: Notify | None = None,
        *,
        environment: str | None = None,
        renew: AsyncRenew | None = None,
    ) -> None:
        self._server_url = find_server_url(url, token, environment)
        self._notify = tell or log.warning
        self._tokens = AsyncTokens(self._server_url.token, renew)
        self._http = RequestSender(self._server_url, self._tokens, self._notify)
        self._watches: WeakSet[Watch[Any]] = WeakSet()

    @property
    def url(self) -> str:
        """Base URL, without the token."""
        return self._server_url.url

    @property
    def orders(self) -> OrderClient:
        """Orders for many tasks: prepare, confirm, list, stop; purge of a queue."""
        return OrderClient(self)

    async def send(self, request: Request[T]) -> T:
        """Send a request of `herald_client.requests` and return its answer."""
        return await self._http.send(request)

    async def __aenter__(self) -> Herald:
        self._http.keep_connections()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections, those of watches too."""
        await asyncio.gather(*(watch.aclose() for watch in self._watches))
        await self._http.aclose()

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
    ) -> Watch[TaskView]: ...

    @overload
    def watch(
        self, *, topic: Literal["workers"], since: str | None = None
    ) -> Watch[WorkerView]: ...

    @overload
    def watch(
        self, *, topic: Literal["queues"], since: str | None = None
    ) -> Watch[QueueView]: ...

    @overload
    def watch(
        self, *, topic: DocumentTopic, since: str | None = None
    ) -> Watch[dict[str, Any]]: ...

    @overload
    def watch(self, *, topic: Literal["counts"]) -> Watch[CountImage]: ...

    def watch(
        self,
        *,
        topic: Topic = "tasks",
        limit: int | None = None,
        every: bool = False,
        since: str | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> Watch[Any]:
        """Return what there is and what becomes of it, as `Put`, `Gone`, `Reset`.

        `limit` begins with the newest so many tasks; `every` tells each
        transition, not only the latest; `since` goes on from a `Watch.cursor`.
        """
        protocol = make_protocol(topic, make_filter(filter_), limit, every, since)
        made: Watch[Any] = Watch(self._server_url, protocol, self._notify, self._tokens)
        self._watches.add(made)
        return made

    async def wait(
        self,
        task_id: str,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> TaskView:
        """Return the task once it is final, `LOST`, or known to have ended without an
        event.

        `timeout` is in seconds. Raises `TimedOut`, and `RecordExpired` if its record
        expires first; both hold the `task` as last known.
        """
        last = TaskView(id=task_id, state=UNKNOWN)
        try:
            async with asyncio.timeout(timeout):
                async for task in self.follow(task_id):
                    last = task
        except TimeoutError:
            raise make_timed_out(last, timeout) from None
        return last

    async def follow(self, task_id: str) -> AsyncGenerator[TaskView, None]:
        """Yield a task now and on each change, until it is final or `LOST`.

        Raises `RecordExpired` if its record expires first.
        """
        tracker = TaskTracker(await self.task(task_id))
        yield tracker.last
        async with aclosing(self.watch(ids=task_id)) as watch:
            if not tracker.is_over:
                async for change in watch:
                    changed, stops = tracker.receive(change)
                    if changed is not None:
                        yield changed
                    if stops:
                        break
        tracker.check()

    # -- reads in several requests, or in pieces ---------------------------------

    async def tasks(
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
    ) -> AsyncGenerator[TaskView, None]:
        """Yield the tasks that match, newest first, at most `limit`.

        `after` and `before` (RFC 3339) bound when the first event of a task arrived.
        `query` is a search text such as `failed kwargs.order_id:12345 last:1h`, whose
        times are in the zone `tz` (an IANA name); `sort` is an order such as
        `-runtime`. `progress` is called with each page, empty ones too.
        """
        walk = PageWalk(limit)
        wish: dict[str, Any] = {
            **{"after": after, "before": before, "tz": tz},
            **{"query": query, "sort": sort},
        }
        while (page := walk.plan_page()) is not None:
            found = await self.send(
                requests.tasks.list_tasks(**wish, **page, **filter_)
            )
            walk.add(found)
            if progress is not None:
                progress(found)
            for task in found.tasks:
                yield task

    async def export(
        self,
        query: str | None = None,
        *,
        format: Literal["csv", "json", "ndjson"] = "csv",
        columns: Sequence[str] = (),
        limit: int | None = None,
        tz: str | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> AsyncGenerator[bytes, None]:
        """Yield an export of the tasks that match, in pieces, newest first.

        `columns` are fields of a task, and `wait`. The end tells if tasks are missing.
        """
        wish = requests.tasks.export_tasks(
            query, format=format, columns=columns, limit=limit, tz=tz, **filter_
        )
        async for piece in self._http.stream(wish):
            yield piece

    async def workers(self) -> list[WorkerView]:
        """Return every known worker, by hostname."""
        found = await self.send(requests.workers.list_workers())
        workers = found.workers
        while found.next is not None:
            found = await self.send(requests.workers.list_workers(found.next))
            workers += found.workers
        return workers
