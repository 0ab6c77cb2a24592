"""Work of all kinds through faults, compared with the log that the tasks write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import msgspec
import redis
from celery import Celery, chain, chord, group
from kombu.exceptions import OperationalError

from herald_core.model.tasks.views import AttemptView, TaskView, from_rfc3339
from herald_core.store.ports import TaskReader
from tests.support.celery.journal_tasks import Run, read_journal
from tests.support.celery.outbox_stream import OutboxReader
from tests.support.wait import wait_until_async

KEPT, IGNORED = "journaled", "journaled_only"
TOLERANCE_S = 3.0
"""Seconds between what a task and what its worker says of the same moment, on a
machine without a free processor."""


class MixedWork:
    """Tasks of twelve kinds, one after another; every third keeps no result.

    `ids` are those that the broker took, `refused` counts the others. The `app` needs
    `result_backend_thread_safe`.
    """

    def __init__(self, app: Celery, journal: Path) -> None:
        self.ids: list[str] = []
        self.refused = 0
        self._app = cast(Any, app)
        _ignore_results(self._app.backend)
        self._path = str(journal)
        self._kinds = self._iter_kinds()

    async def run(self, seconds: float, pause: float) -> None:
        """Send for so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.to_thread(self.send_next)
            await asyncio.sleep(pause)

    def send_next(self) -> None:
        """Send one task, or one canvas."""
        send = next(self._kinds)
        try:
            ids = send()
        except (OperationalError, OSError, redis.RedisError):
            self.refused += 1
        else:
            self.ids += ids

    def _iter_kinds(self) -> Iterator[Callable[[], list[str]]]:
        kinds: list[Callable[[], list[str]]] = [
            lambda: self._send(KEPT),
            lambda: self._send(IGNORED),
            lambda: self._send(KEPT, fails=True),
            lambda: self._send(IGNORED, retries=2),
            lambda: self._send(KEPT, retries=1, fails=True),
            lambda: self._send(KEPT, steps=3),
            lambda: self._send(IGNORED, fails=True),
            self._send_expired,
            self._send_group,
            self._send_chord,
            self._send_chain,
            self._send_revoked,
        ]
        for number in count():
            yield kinds[number % len(kinds)]

    def _make(self, name: str, **words: object) -> Any:
        kwargs = {"path": self._path, **words}
        return self._app.signature(name, kwargs=kwargs, task_id=str(uuid4()))

    def _send(self, name: str, **words: object) -> list[str]:
        one = self._make(name, **words)
        one.apply_async(retry=False)
        return [one.options["task_id"]]

    def _send_expired(self) -> list[str]:
        one = self._make(KEPT)
        one.apply_async(expires=0.0, retry=False)
        return [one.options["task_id"]]

    def _send_revoked(self) -> list[str]:
        one = self._make(IGNORED)
        self._app.control.revoke(one.options["task_id"])
        # Later than any worker hears of it: it either runs or does not.
        one.apply_async(countdown=1.0, retry=False)
        return [one.options["task_id"]]

    def _send_group(self) -> list[str]:
        members = [self._make(IGNORED) for _ in range(3)]
        group(members, app=self._app).apply_async()
        return [one.options["task_id"] for one in members]

    def _send_chord(self) -> list[str]:
        header = [self._make(KEPT, seconds=0.02) for _ in range(2)]
        body = self._make(KEPT)
        chord(header, body, app=self._app).apply_async()
        return [one.options["task_id"] for one in (*header, body)]

    def _send_chain(self) -> list[str]:
        links = [self._make(KEPT), self._make(KEPT)]
        chain(*links, app=self._app).apply_async()
        return [one.options["task_id"] for one in links]


def _ignore_results(backend: Any) -> None:
    """Let no result wait for its task: connections for that would be cut, too."""

    def wait_for_nothing(*_: object) -> None:
        return

    backend.on_task_call = backend.remove_pending_result = wait_for_nothing


class Findings(msgspec.Struct):
    """How many runs were compared, and what is wrong, as sentences.

    `untold` are runs of which the worker itself sent no event.
    """

    runs: int = 0
    faults: list[str] = []
    untold: list[str] = []


class Verdict:
    """What Herald shows of some tasks, against the log of the tasks themselves.

    `stream` holds all events that workers sent.
    """

    def __init__(
        self,
        reader: TaskReader,
        journal: Path,
        ids: Sequence[str],
        stream: OutboxReader,
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._ids = list(ids)
        self._stream = stream

    async def wait(self, within: float) -> Findings:
        """Wait until nothing is wrong any more."""
        return await wait_until_async(
            self.find_faults, within, "all is as the tasks say", accept=_is_right
        )

    async def find_faults(self) -> Findings:
        """Compare all tasks once."""
        runs = read_journal(self._journal)
        found = Findings(runs=sum(map(len, runs.values())))
        tasks = await self._reader.get_tasks(self._ids)
        words: dict[str, list[str]] | None = None
        for task_id, task in zip(self._ids, tasks, strict=True):
            own = runs.get(task_id, [])
            faults = await self._compare(task_id, task, own)
            if faults and words is None:
                words = await asyncio.to_thread(self._read_words)
            if words is not None and _is_untold(words.get(task_id, []), own):
                found.untold += faults
            else:
                found.faults += faults
        return found

    def _read_words(self) -> dict[str, list[str]]:
        """Return the types of the events of each task."""
        words: dict[str, list[str]] = {}
        for event in self._stream.read_events():
            words.setdefault(str(event.get("uuid")), []).append(str(event["type"]))
        return words

    async def _compare(
        self, task_id: str, task: TaskView | None, runs: list[Run]
    ) -> list[str]:
        fault = _find_state_fault(runs, task)
        if fault is not None:
            return [f"{task_id}: {fault}"]
        attempts = await self._reader.list_attempts(task_id)
        return [f"{task_id}: {said}" for said in _find_run_faults(runs, attempts)]


END_TYPES = ("task-succeeded", "task-failed", "task-retried")


def _is_untold(words: list[str], runs: list[Run]) -> bool:
    """Return True if the worker sent no event of the start or the end of a run."""
    ends = sum(words.count(word) for word in END_TYPES)
    return words.count("task-started") < len(runs) or ends < len(runs)


def _is_right(found: Findings) -> bool:
    return not found.faults


def _find_state_fault(runs: list[Run], task: TaskView | None) -> str | None:
    if task is None:
        return f"missing; it ran {len(runs)} times"
    wanted = runs[-1].end if runs else "REVOKED"
    if task.state != wanted:
        return f"{task.state} ({task.source}), and it is {wanted or 'running'}"
    needed = ["name", "submitted_at", "finished_at", "worker"]
    # Of what is revoked or has expired, a worker says that at once, and no other word.
    needed += ["received_at", "started_at"] if runs else []
    missing = [name for name in needed if not getattr(task, name)]
    return f"no {', '.join(missing)}" if missing else None


def _find_run_faults(runs: list[Run], attempts: Sequence[AttemptView]) -> list[str]:
    shown = [one for one in attempts if one.started_at]
    if len(shown) != len(runs):
        return [f"{len(shown)} runs are shown, and it ran {len(runs)} times"]
    shown.sort(key=lambda one: one.started_at or "")
    found: list[str] = []
    for number, (run, one) in enumerate(zip(runs, shown, strict=True), 1):
        said = _find_attempt_fault(run, one)
        found += [f"run {number}: {said}"] if said else []
    return found


def _find_attempt_fault(run: Run, shown: AttemptView) -> str | None:
    if shown.state != run.end:
        return f"{shown.state}, and it is {run.end}"
    for word, at, wanted in (
        ("started_at", shown.started_at, run.started_at),
        ("finished_at", shown.finished_at, run.ended_at),
    ):
        if at is None:
            return f"no {word}"
        if abs(from_rfc3339(at) - wanted) > TOLERANCE_S:
            return f"{word} is {from_rfc3339(at) - wanted:+.3f} s off"
    return None
