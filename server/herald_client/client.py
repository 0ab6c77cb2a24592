"""Client of a Herald server: watch, read, start and cancel tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Literal, Unpack, overload
from urllib.parse import quote
from weakref import WeakSet

from herald_client.connection.http import HttpClient
from herald_client.connection.orders import OrderClient
from herald_client.connection.protocol import SubscriptionProtocol
from herald_client.connection.url import find_server_url
from herald_client.connection.watch import Notify, Watch
from herald_client.errors import RecordExpired, TimedOut
from herald_client.models.answers import (
    Cancelled,
    Deleted,
    Dismissed,
    FilterKeys,
    FilterValues,
    MarkList,
    QueueList,
    ScheduleList,
    Started,
    Stats,
    TaskDetail,
    TaskList,
    WorkerDetail,
    WorkerHistory,
    WorkerList,
)
from herald_client.models.changes import CountImage, Gone, Put
from herald_core.model.documents import DOCUMENT_KINDS
from herald_core.model.failures.summary import FailureDetail, FailureList
from herald_core.model.filters import Filter, parse_filter
from herald_core.model.marks.mark import Mark
from herald_core.model.marks.views import NameComparison, SlowerNames
from herald_core.model.orders import Order
from herald_core.model.tasks.views import (
    EXPIRED,
    LOST,
    UNKNOWN,
    TaskView,
    to_dict,
)
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView

log = logging.getLogger(__name__)


DocumentTopic = Literal["failures", "schedules", "orders", "marks"]
"""Topics whose images are JSON objects, see `herald_core.model.documents`."""

Topic = Literal["tasks", "workers", "queues", "counts"] | DocumentTopic


IMAGE_TYPES: dict[str, type[Any]] = {
    "tasks": TaskView,
    "workers": WorkerView,
    "queues": QueueView,
    "counts": CountImage,
    **dict.fromkeys(DOCUMENT_KINDS, dict[str, Any]),
}


PAGE_SIZE = 200


class Herald:
    """A client of the server at `url` (default HERALD_URL) with `token` (HERALD_TOKEN).

    `environment` (HERALD_ENVIRONMENT) is one of those that the server serves besides
    the default one.

    `tell` is called with messages about lost connections and missing events; without it
    they are logged. Every method raises `Unreachable`, `AccessRefused` or
    `ServerProblem`, and `InvalidInput` for an invalid filter.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        tell: Notify | None = None,
        *,
        environment: str | None = None,
    ) -> None:
        self._server_url = find_server_url(url, token, environment)
        self._notify = tell or log.warning
        self._http = HttpClient(self._server_url, tell=self._notify)
        self._watches: WeakSet[Watch[Any]] = WeakSet()

    @property
    def url(self) -> str:
        """Base URL, without the token."""
        return self._server_url.url

    @property
    def orders(self) -> OrderClient:
        """Orders for many tasks: prepare, confirm, list, stop; purge of a queue."""
        return OrderClient(self._http)

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
        wish = {
            "topic": topic,
            "filter": to_dict(_make_filter(filter_)),
            **({"limit": limit} if limit is not None else {}),
            **({"mode": "events"} if every else {}),
        }
        made = Watch(
            self._server_url,
            SubscriptionProtocol(wish, IMAGE_TYPES[topic], since),
            self._notify,
        )
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
            raise TimedOut(
                f"after {timeout:g} s, {task_id} is still {last.state}", last
            ) from None
        return last

    async def follow(self, task_id: str) -> AsyncGenerator[TaskView, None]:
        """Yield a task now and on each change, until it is final or `LOST`.

        Raises `RecordExpired` if its record expires first.
        """
        last: TaskView = await self.task(task_id)
        yield last
        watch = self.watch(ids=task_id)
        try:
            if not _is_over(last):
                async for change in watch:
                    if isinstance(change, Put) and change.image.rev != last.rev:
                        last = change.image
                        yield last
                    if isinstance(change, Gone) or _is_over(last):
                        break
        finally:
            await watch.aclose()
        if not _is_over(last) or last.state == EXPIRED:
            raise RecordExpired(
                f"the record of {task_id} ran out; how it ended is not known any more",
                last,
            )

    # -- reads -----------------------------------------------------------------

    async def task(self, task_id: str) -> TaskDetail:
        """Return a task; its state is `UNKNOWN` or `EXPIRED` if there is no record."""
        return await self._http.get(_make_path("tasks", task_id), TaskDetail, also=404)

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
        wish = {
            **to_dict(_make_filter(filter_)),
            **{"after": after, "before": before, "q": query, "sort": sort, "tz": tz},
        }
        left, page = limit, None
        while left is None or left > 0:
            size = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
            found = await self._http.get(
                _make_path("tasks"), TaskList, {**wish, "limit": size, "page": page}
            )
            if progress is not None:
                progress(found)
            for task in found.tasks:
                yield task
            left = None if left is None else left - len(found.tasks)
            page = found.next
            if page is None:
                return

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
        wish = {
            **to_dict(_make_filter(filter_)),
            **{"q": query, "format": format, "limit": limit, "tz": tz},
            "columns": ",".join(columns) or None,
        }
        async for piece in self._http.stream(_make_path("tasks", "export"), wish):
            yield piece

    async def workers(self) -> list[WorkerView]:
        """Return every known worker, by hostname."""
        found = await self._http.get(_make_path("workers"), WorkerList)
        workers = found.workers
        while found.next is not None:
            found = await self._http.get(
                _make_path("workers"), WorkerList, {"after": found.next}
            )
            workers += found.workers
        return workers

    async def get_worker(self, hostname: str) -> WorkerDetail:
        """Return a worker, and what it says of itself now."""
        return await self._http.get(_make_path("workers", hostname), WorkerDetail)

    async def get_worker_history(
        self, hostname: str, at: str | None = None, window: float = 60.0
    ) -> WorkerHistory:
        """Return what a worker did around `at`: RFC 3339, or such as `02:13` in UTC.

        `window` is in seconds. Without `at` it is now.
        """
        path = _make_path("workers", hostname, "history")
        query = {"at": at, "window": f"{window:g}"}
        return await self._http.get(path, WorkerHistory, query)

    async def queues(self) -> list[QueueView]:
        """Return the queues as last measured, by name."""
        return (await self._http.get(_make_path("queues"), QueueList)).queues

    async def failures(
        self, window: str = "1h", name: FilterValues | None = None, limit: int = 50
    ) -> FailureList:
        """Return the causes of the failures in the last `10m`, `1h` or `24h`.

        The most frequent comes first. `name` selects names of tasks.
        """
        names = {} if name is None else to_dict(_make_filter({"name": name}))
        query = {"window": window, "limit": limit, **names}
        return await self._http.get(_make_path("failures"), FailureList, query)

    async def failure(self, fingerprint: str, window: str = "24h") -> FailureDetail:
        """Return one cause of failures, with its spread.

        Raises `ServerProblem` with status 404 if nothing is known of it.
        """
        path = _make_path("failures", fingerprint)
        return await self._http.get(path, FailureDetail, {"window": window})

    async def schedules(self) -> list[dict[str, Any]]:
        """Return the schedules of periodic tasks, the most urgent first."""
        return (await self._http.get(_make_path("schedules"), ScheduleList)).schedules

    async def marks(self) -> list[Mark]:
        """Return the marks of the last seven days, the newest first."""
        return (await self._http.get(_make_path("marks"), MarkList)).marks

    async def slower(
        self, mark: str | None = None, window: str | None = None
    ) -> SlowerNames:
        """Return the names that are slower since a mark, or fail more often.

        `mark` is the id of a mark, by default the newest; `window` the time that is
        compared on each side, such as 15m (default 1h).
        """
        query = {"mark": mark, "window": window}
        return await self._http.get(_make_path("slower"), SlowerNames, query)

    async def compare(
        self, name: str, mark: str | None = None, window: str | None = None
    ) -> NameComparison:
        """Return the runs of one name before and after a mark. See `slower`."""
        path = _make_path("types", name, "compare")
        query = {"mark": mark, "window": window}
        return await self._http.get(path, NameComparison, query)

    async def stats(self) -> Stats:
        """Return how many tasks are in each state."""
        return await self._http.get(_make_path("stats"), Stats)

    # -- writes ------------------------------------------------------------------

    async def start(
        self,
        task_type: str,
        params: Mapping[str, object] | None = None,
        *,
        confirmation: str | None = None,
    ) -> Started:
        """Start a task of the catalog. Raises `ServerProblem` if it is invalid.

        Raises `ConfirmationNeeded` if the user must confirm; call again with its
        `confirmation` once they agreed.
        """
        body: dict[str, object] = {"task_type": task_type, "params": dict(params or {})}
        if confirmation is not None:
            body["confirmation"] = confirmation
        return await self._http.post(_make_path("tasks"), body, Started)

    async def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task and return the outcome.

        The outcome of an unknown task is `unknown`.
        """
        path = _make_path("tasks", task_id, "cancel")
        return await self._http.post(path, {}, Cancelled, also=404)

    async def order_worker(
        self, hostname: str, command: str, **parameters: object
    ) -> Order:
        """Order a worker, such as `order_worker("celery@a", "pool_grow", n=2)`.

        Returns the order with its outcome, or as it is after 20 s.
        """
        body = {"command": command, **parameters}
        return await self._http.post(
            _make_path("workers", hostname, "orders"), body, Order
        )

    async def pause_queue(self, queue: str) -> Order:
        """Cancel the consumers of a queue everywhere, until it is resumed."""
        return await self._http.post(_make_path("queues", queue, "pause"), {}, Order)

    async def resume_queue(self, queue: str) -> Order:
        """Add the consumers of a paused queue again."""
        return await self._http.post(_make_path("queues", queue, "resume"), {}, Order)

    async def order_schedule(self, key: str, action: str) -> dict[str, Any]:
        """Confirm, mute, unmute or run the schedule with an id or name."""
        path = _make_path("schedules", key, action)
        return await self._http.post(path, {}, dict[str, Any])

    async def mark(
        self, what: str, *, version: str | None = None, at: str | None = None
    ) -> Mark:
        """Set a mark on every chart, such as a deploy, at `at` (RFC 3339, or now)."""
        given = {"what": what, "version": version, "at": at}
        body = {key: value for key, value in given.items() if value is not None}
        return await self._http.post(_make_path("marks"), body, Mark)

    async def delete_mark(self, mark_id: str) -> Deleted:
        """Delete a mark."""
        return await self._http.delete(_make_path("marks", mark_id), Deleted)

    async def dismiss_worker(self, hostname: str) -> Dismissed:
        """Delete the record of a silent or offline worker before it expires."""
        return await self._http.delete(_make_path("workers", hostname), Dismissed)


def _make_filter(given: FilterKeys) -> Filter:
    # Iterables become lists first, because they are read twice.
    listed: dict[str, object] = {
        key: value if value is None or isinstance(value, str) else list(value)  # type: ignore[call-overload]
        for key, value in given.items()
    }
    return parse_filter(listed)


def _make_path(*parts: str) -> str:
    return "/".join(["api", "v1", *(quote(part, safe="") for part in parts)])


def _is_over(task: TaskView) -> bool:
    return task.final or task.state in (LOST, EXPIRED) or task.has_unknown_outcome
