"""What Celery itself says of the tasks of a project, against which Herald is held.

The result backend keeps how each task ended, and in which group; the requests of
`canvas_tasks.py`, which are noted as they run, tell the rest of its place.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import redis
from amqp import ChannelError
from celery import Celery

from herald_core.model.tasks.views import TaskView
from tests.support.celery.canvas_tasks import NOTES
from tests.support.wait import wait_until_async

PREFIX = "celery-task-meta-"
READY = ("SUCCESS", "FAILURE", "REVOKED")
NO_END = "canvas.ignored"
"""What ends without a word, and is lost in the end."""

Meta = Mapping[str, Any]
Runs = Mapping[str, Sequence[Meta]]


class CelerySays:
    """Asks the backend (a Redis) and the workers called `hostnames`."""

    def __init__(self, app: Celery, hostnames: Sequence[str]) -> None:
        self._app = cast(Any, app)
        self._hostnames = list(hostnames)
        self._client = redis.Redis.from_url(str(self._app.conf.result_backend))

    def close(self) -> None:
        """Let go of the backend."""
        self._client.close()

    async def quiet(self, within: float) -> None:
        """Wait until nothing waits or runs any more, in two looks in a row."""
        looks = [True]

        def was_quiet_twice() -> bool:
            looks.append(self._at_work())
            return not any(looks[-2:])

        await wait_until_async(lambda: asyncio.to_thread(was_quiet_twice), within)

    def _at_work(self) -> bool:
        if self._waiting():
            return True
        inspect = self._app.control.inspect(self._hostnames, timeout=2)
        for ask in (inspect.scheduled, inspect.reserved, inspect.active):
            told = cast("dict[str, object]", ask() or {})
            if len(told) < len(self._hostnames) or any(told.values()):
                return True
        return False

    def _waiting(self) -> int:
        with self._app.connection_for_read() as line:
            queue = self._app.conf.task_default_queue
            try:
                return int(line.default_channel.queue_declare(queue, passive=True)[1])
            except ChannelError:  # on Redis an empty queue is none
                return 0

    def results(self) -> dict[str, Meta]:
        """Return all that the backend keeps of tasks, by id."""
        keys: list[bytes] = list(
            cast(Any, self._client).scan_iter(f"{PREFIX}*", count=5_000)
        )
        found = cast("list[bytes]", self._client.mget(keys)) if keys else []
        return {
            key.decode().removeprefix(PREFIX): json.loads(kept)
            for key, kept in zip(keys, found, strict=True)
        }

    def runs(self) -> Runs:
        """Return what each run noted, by id, in the order in which they began."""
        runs: dict[str, list[Meta]] = defaultdict(list)
        for note in cast("list[bytes]", self._client.lrange(NOTES, 0, -1)):
            told = json.loads(note)
            runs[told["id"]].append(told)
        return runs


def differing(
    results: Mapping[str, Meta], runs: Runs, shown: Mapping[str, TaskView]
) -> list[str]:
    """Return a line for each thing in which what is `shown` differs from Celery."""
    lines: list[str] = []
    for task_id in {*results, *runs}:
        image = shown.get(task_id)
        if image is None:
            lines.append(f"{task_id} is not known: {results.get(task_id)}")
            continue
        if kept := results.get(task_id):
            lines += _differing_result(kept, image)
        elif not (image.final or image.name == NO_END):
            lines.append(f"{task_id} ({image.name}) has not ended: {image.state}")
        if noted := runs.get(task_id):
            lines += _differing_place(noted, image)
    return lines + _circles(shown)


def _differing_result(kept: Meta, image: TaskView) -> list[str]:
    lines: list[str] = []
    if kept["status"] != image.state or kept["status"] not in READY:
        lines.append(f"{image.id} is {image.state}, the backend says {kept['status']}")
    if kept.get("group_id") != image.group_id:
        lines.append(f"{image.id} is of group {image.group_id}, not as {kept}")
    return lines


def _differing_place(noted: Sequence[Meta], image: TaskView) -> list[str]:
    """Compare with what the runs of one task noted.

    A task may have had several parents: what replaces it is called by the last of
    its own children, and after some canvases Celery runs a task more than once. It
    is shown under one that called it, the root under none.
    """
    lines: list[str] = []
    if image.name != noted[0]["name"]:
        lines.append(f"{image.id} is {image.name}, not {noted[0]['name']}")
    roots = {note["root"] for note in noted}
    if image.root_id not in roots:
        lines.append(f"{image.id} has the root {image.root_id}, not {roots}")
    told = {note["parent"] for note in noted} - {image.id, None}
    parents = {None} if image.root_id == image.id else told
    if image.parent_id not in parents:
        lines.append(f"{image.id} has the parent {image.parent_id}, not {parents}")
    return lines


def _circles(shown: Mapping[str, TaskView]) -> list[str]:
    """Return a line for each task that is its own forefather."""
    good: set[str] = set()
    lines: list[str] = []
    for task_id in shown:
        way: dict[str, None] = {}
        one: str | None = task_id
        while one and one in shown and one not in good and one not in way:
            way[one] = None
            one = shown[one].parent_id
        if one in way:
            lines.append(f"{one} is its own forefather, by {list(way)}")
        good.update(way)
    return lines
