"""The client: ask a Herald, be told by it, and give it orders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, Unpack, overload
from urllib.parse import quote
from weakref import WeakSet

from herald_monitor.model.filters import Filter, parse_filter
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import (
    EXPIRED,
    LOST,
    UNKNOWN,
    TaskImage,
    to_dict,
)
from herald_monitor.model.workers import WorkerImage
from herald_server.client.address import find_address
from herald_server.client.answers import (
    Cancelled,
    Dismissed,
    FilterKeys,
    Queues,
    Started,
    Stats,
    TaskDetail,
    TaskPage,
    Workers,
)
from herald_server.client.changes import CountImage, Gone, Put
from herald_server.client.errors import Forgotten, TimedOut
from herald_server.client.rest import Rest
from herald_server.client.story import Story
from herald_server.client.watch import Tell, Watch

log = logging.getLogger(__name__)


Topic = Literal["tasks", "workers", "queues", "counts"]


IMAGES: dict[str, type[Any]] = {
    "tasks": TaskImage,
    "workers": WorkerImage,
    "queues": QueueImage,
    "counts": CountImage,
}


PAGE = 200


class Herald:
    """A Herald at `url` (else HERALD_URL), known by `token` (else HERALD_TOKEN).

    `tell` is called with sentences about lost touch and missing events; without
    it they are logged. Every method raises `Unreachable`, `Refused` or
    `ServerProblem`, and `BadInput` for a filter that makes no sense.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, tell: Tell | None = None
    ) -> None:
        self._address = find_address(url, token)
        self._tell = tell or log.warning
        self._rest = Rest(self._address, tell=self._tell)
        self._watches: WeakSet[Watch[Any]] = WeakSet()

    @property
    def url(self) -> str:
        """The base URL, without the token."""
        return self._address.url

    async def __aenter__(self) -> Herald:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connections of all watches."""
        await asyncio.gather(*(watch.aclose() for watch in self._watches))

    # -- be told -------------------------------------------------------------

    @overload
    def watch(
        self,
        *,
        topic: Literal["tasks"] = "tasks",
        limit: int | None = None,
        every: bool = False,
        since: str | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> Watch[TaskImage]: ...

    @overload
    def watch(
        self, *, topic: Literal["workers"], since: str | None = None
    ) -> Watch[WorkerImage]: ...

    @overload
    def watch(
        self, *, topic: Literal["queues"], since: str | None = None
    ) -> Watch[QueueImage]: ...

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
            "filter": to_dict(_filter(filter_)),
            **({"limit": limit} if limit is not None else {}),
            **({"mode": "events"} if every else {}),
        }
        made = Watch(self._address, Story(wish, IMAGES[topic], since), self._tell)
        self._watches.add(made)
        return made

    async def wait(
        self,
        task_id: str,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> TaskImage:
        """Return the task once it is final, `LOST`, or ended while nobody heard it.

        `timeout` is in seconds. Raises `TimedOut`, and `Forgotten` if its record
        runs out first; both hold the `task` as it was known last.
        """
        last = TaskImage(id=task_id, state=UNKNOWN)
        try:
            async with asyncio.timeout(timeout):
                async for task in self.follow(task_id):
                    last = task
        except TimeoutError:
            raise TimedOut(
                f"after {timeout:g} s, {task_id} is still {last.state}", last
            ) from None
        return last

    async def follow(self, task_id: str) -> AsyncGenerator[TaskImage, None]:
        """Yield a task now and whenever it changes, until it is final or `LOST`.

        Raises `Forgotten` if its record runs out first.
        """
        last: TaskImage = await self.task(task_id)
        yield last
        watch = self.watch(ids=task_id)
        try:
            if not _over(last):
                async for change in watch:
                    if isinstance(change, Put) and change.image.rev != last.rev:
                        last = change.image
                        yield last
                    if isinstance(change, Gone) or _over(last):
                        break
        finally:
            await watch.aclose()
        if not _over(last) or last.state == EXPIRED:
            raise Forgotten(
                f"the record of {task_id} ran out; how it ended is not known any more",
                last,
            )

    # -- ask -------------------------------------------------------------------

    async def task(self, task_id: str) -> TaskDetail:
        """Return what is known of a task: of state `UNKNOWN` or `EXPIRED`, if none."""
        return await self._rest.get(_path("tasks", task_id), TaskDetail, also=404)

    async def tasks(
        self,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        **filter_: Unpack[FilterKeys],
    ) -> AsyncGenerator[TaskImage, None]:
        """Yield the tasks that match, newest first, at most `limit`.

        `after` and `before` (RFC 3339) bound when they were first heard of.
        """
        query = {**to_dict(_filter(filter_)), "after": after, "before": before}
        left, page = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            found = await self._rest.get(
                _path("tasks"), TaskPage, {**query, "limit": size, "page": page}
            )
            for task in found.tasks:
                yield task
            left = None if left is None else left - len(found.tasks)
            page = found.next
            if page is None:
                return

    async def workers(self) -> list[WorkerImage]:
        """Return every worker that was heard of, by hostname."""
        found = await self._rest.get(_path("workers"), Workers)
        workers = found.workers
        while found.next is not None:
            found = await self._rest.get(
                _path("workers"), Workers, {"after": found.next}
            )
            workers += found.workers
        return workers

    async def queues(self) -> list[QueueImage]:
        """Return the queues as they were measured last, by name."""
        return (await self._rest.get(_path("queues"), Queues)).queues

    async def stats(self) -> Stats:
        """Return how many tasks are in each state."""
        return await self._rest.get(_path("stats"), Stats)

    # -- give orders -------------------------------------------------------------

    async def start(
        self,
        task_type: str,
        params: Mapping[str, object] | None = None,
        *,
        confirmation: str | None = None,
    ) -> Started:
        """Start a task of the catalog. `ServerProblem` says what is wrong with it.

        `ConfirmationNeeded` asks for a person's consent: once they agreed, call
        again with its `confirmation`.
        """
        said: dict[str, object] = {"task_type": task_type, "params": dict(params or {})}
        if confirmation is not None:
            said["confirmation"] = confirmation
        return await self._rest.post(_path("tasks"), said, Started)

    async def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task; the answer says what came of it.

        The outcome of a task of which nobody knows is `unknown`.
        """
        path = _path("tasks", task_id, "cancel")
        return await self._rest.post(path, {}, Cancelled, also=404)

    async def dismiss_worker(self, hostname: str) -> Dismissed:
        """Forget a worker that is silent or offline, before its time is over."""
        return await self._rest.delete(_path("workers", hostname), Dismissed)


def _filter(given: FilterKeys) -> Filter:
    # Iterables become lists once, before anybody reads them twice.
    listed: dict[str, object] = {
        key: value if value is None or isinstance(value, str) else list(value)  # type: ignore[call-overload]
        for key, value in given.items()
    }
    return parse_filter(listed)


def _path(*parts: str) -> str:
    return "/".join(["api", "v1", *(quote(part, safe="") for part in parts)])


def _over(task: TaskImage) -> bool:
    return task.final or task.state in (LOST, EXPIRED) or task.ended_unheard
