"""Tells of runs that Celery's worker forgets when it loses its connection.

The worker then removes tasks from its pool's list, since their messages come again
(celery/concurrency/asynpool.py: AsynPool.flush): before Celery 5.7 all, and since those
whose start it has not heard of. What such a run tells afterwards, or has told in that
moment, is thrown away: its start, or its end. So the processes of a prefork pool note
their runs, and the worker looks there once it is connected again. Other pools forget
nothing.

Also lets each event of a run name its attempt. Celery tells the number of retries only
with `task-sent` and `task-received`. Of a message that comes twice, perhaps while the
next attempt waits already, only its request knows to which a `task-started` belongs.
"""

from __future__ import annotations

import logging
import time
from typing import Any, TypeAlias
from weakref import ref

from billiard import current_process
from celery import bootsteps

from herald_worker.outbox.run_table import MAX_CHILDREN, Run, RunTable

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S = 0.2
STARTED = "task-started"
END_TYPES = {
    "SUCCESS": "task-succeeded",
    "FAILURE": "task-failed",
    "RETRY": "task-retried",
}
"""The event of each state in which a run ends."""

MAX_ENDED_ATTEMPTS = 1_000
"""Attempts that ended without an event, before they are removed from memory."""

LAST_TYPES = frozenset({*END_TYPES.values(), "task-revoked", "task-rejected"})
Attempt: TypeAlias = tuple[str, int]
"""The id of a task, and its retries."""


class AttemptEventer:
    """What a request sends its events with: the worker's own, and the `retries`."""

    __slots__ = ("attempt", "eventer", "has_started", "received_at", "request")

    def __init__(self, request: Any, attempt: Attempt) -> None:
        self.eventer = request.eventer
        self.attempt = attempt
        self.request = ref(request)
        self.has_started = False
        self.received_at = time.time()

    @property
    def enabled(self) -> bool:
        """Whether the worker's own does anything."""
        return bool(self.eventer.enabled)

    def send(self, type: str, **fields: Any) -> Any:
        """Send an event of the request."""
        if type == STARTED:
            self.has_started = True
        elif type in LAST_TYPES:
            in_flight.remove(self)
        return self.eventer.send(type, **{"retries": self.attempt[1], **fields})


class AttemptsInFlight:
    """The attempts that the worker has received, and whose end it did not tell.

    An attempt may end without an event (`Ignore`, `Task.replace`). Its request is
    deleted then, so that such attempts are removed after `MAX_ENDED_ATTEMPTS` others.
    """

    def __init__(self) -> None:
        self._eventers: dict[Attempt, AttemptEventer] = {}
        self._clean_at = MAX_ENDED_ATTEMPTS

    def __len__(self) -> int:
        return len(self._eventers)

    def add(self, eventer: AttemptEventer) -> None:
        """Add the attempt of a request that was received."""
        self._eventers[eventer.attempt] = eventer
        if len(self._eventers) >= self._clean_at:
            self._eventers = {
                attempt: one
                for attempt, one in self._eventers.items()
                if one.request() is not None
            }
            self._clean_at = 2 * len(self._eventers) + MAX_ENDED_ATTEMPTS

    def remove(self, eventer: AttemptEventer) -> None:
        """Remove an attempt that ended, unless its message was received again."""
        if self._eventers.get(eventer.attempt) is eventer:
            del self._eventers[eventer.attempt]

    def take_all(self) -> dict[Attempt, AttemptEventer]:
        """Remove and return all attempts."""
        taken, self._eventers = self._eventers, {}
        return taken


in_flight = AttemptsInFlight()


def name_attempt(request: Any) -> None:
    """Let all further events of a request that was received name its attempt."""
    retries = request.request_dict.get("retries")
    if isinstance(retries, int) and request.eventer is not None:
        request.eventer = AttemptEventer(request, (request.id, retries))
        in_flight.add(request.eventer)


class RunNotes:
    """What one child of the pool notes of its runs."""

    def __init__(self, table: RunTable, child: int) -> None:
        self._table = table
        self._child = child
        self._number = 0
        self._run: Run | None = None

    def begin(self, task_id: str, retries: int) -> None:
        """Note that a run began."""
        self._run = Run(task_id, retries, time.time())
        self._table.write(self._child, self._number, self._run)

    def end(self, task_id: str, state: str, value: object) -> None:
        """Note how it ended; `value` is the exception if it failed."""
        run = self._run
        if run is None or run.task_id != task_id:
            return
        text = "" if state == "SUCCESS" else repr(value)
        ended = run._replace(ended_at=time.time(), state=state, text=text)
        self._table.write(self._child, self._number, ended)
        self._number += 1
        self._run = None


_table: RunTable | None = None
_notes: RunNotes | None = None


def note_process() -> None:
    """Let this process, a child of a pool, note its runs."""
    global _notes
    child = getattr(current_process(), "index", MAX_CHILDREN)
    if _table is not None and 0 <= child < MAX_CHILDREN:
        _notes = RunNotes(_table, child)


def note_start(task_id: str, task: Any) -> None:
    """Note the start of a run, if this is a child of a pool."""
    if _notes is not None and not task.request.is_eager:
        _notes.begin(task_id, task.request.retries or 0)


def note_end(task_id: str, task: Any, state: str, value: object) -> None:
    """Note the end of a run, likewise."""
    if _notes is not None and not task.request.is_eager:
        _notes.end(task_id, state, value)


class UnreportedRuns(bootsteps.StartStopStep):
    """Tells of the forgotten runs, each time that the worker is connected again."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._is_connected_again = False
        self._running: set[Attempt] = set()
        if type(parent.pool).__module__ == "celery.concurrency.prefork":
            # The processes of the pool are forked after this.
            _make_table()

    def start(self, parent: Any) -> None:
        """Tell of what was forgotten with the connection before."""
        if self._is_connected_again:
            try:
                self._report_forgotten(parent)
            except Exception:
                # The worker must start whatever its pool looks like.
                logger.exception("Runs that the pool forgot are not reported")
        self._is_connected_again = True

    def _report_forgotten(self, consumer: Any) -> None:
        forgotten = _separate_forgotten(consumer)
        if forgotten and _table is not None:
            self._report(consumer, forgotten)

    def _report(self, consumer: Any, forgotten: dict[Attempt, AttemptEventer]) -> None:
        assert _table is not None
        for run in _table.iter_runs():
            attempt = run.task_id, run.retries
            eventer = forgotten.get(attempt)
            if eventer is None or run.started_at < eventer.received_at:
                continue
            if not eventer.has_started:
                eventer.has_started = True
                _send(consumer, STARTED, run, run.started_at)
            if run.ended_at:
                _send_end(consumer, run)
            else:
                self._running.add(attempt)
        self._schedule_check(consumer)

    def _check(self, consumer: Any) -> None:
        """Tell of runs that have ended meanwhile."""
        assert _table is not None
        running: set[Attempt] = set()
        for run in _table.iter_runs():
            attempt = run.task_id, run.retries
            if attempt not in self._running:
                continue
            if run.ended_at:
                _send_end(consumer, run)
            else:
                running.add(attempt)
        # A run whose process was killed leaves the table with the next run there.
        self._running = running
        self._schedule_check(consumer)

    def _schedule_check(self, consumer: Any) -> None:
        if self._running:
            consumer.timer.call_after(CHECK_INTERVAL_S, self._check, (consumer,))


def _separate_forgotten(consumer: Any) -> dict[Attempt, AttemptEventer]:
    """Return the attempts that the pool has forgotten; the others go on.

    Of the forgotten ones that did not run, the message is received again.
    """
    found = in_flight.take_all()
    forgotten: dict[Attempt, AttemptEventer] = {}
    for attempt, eventer in found.items():
        request = eventer.request()
        if request is not None and _is_in_pool(consumer, request):
            # Since Celery 5.7 it has the new dispatcher, without our name for it.
            if request.eventer is not eventer:
                eventer.eventer = request.eventer
                request.eventer = eventer
            in_flight.add(eventer)
        else:
            forgotten[attempt] = eventer
    return forgotten


def _is_in_pool(consumer: Any, request: Any) -> bool:
    """Return True if the pool still tells `request` how its run goes on."""
    cache = getattr(getattr(consumer.pool, "_pool", None), "_cache", None)
    if cache is None:
        return True
    job = request._apply_result and request._apply_result()
    return job is not None and job._job in cache


def _make_table() -> None:
    global _table
    if _table is None:
        _table = RunTable()


def _send_end(consumer: Any, run: Run) -> None:
    kind = END_TYPES.get(run.state)
    if kind is None:
        return
    fields: dict[str, object] = {"exception": run.text} if run.text else {}
    if kind == "task-succeeded":
        fields["runtime"] = run.ended_at - run.started_at
    _send(consumer, kind, run, run.ended_at, **fields)


def _send(consumer: Any, kind: str, run: Run, at: float, **fields: object) -> None:
    dispatcher = consumer.event_dispatcher
    if dispatcher is not None and dispatcher.enabled:
        named = {"uuid": run.task_id, "retries": run.retries, "timestamp": at}
        dispatcher.send(kind, **named, **fields)
