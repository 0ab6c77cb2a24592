"""Queries of workers about their tasks, by hostname and with a timeout."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from celery import Celery

from herald_core.errors import HeraldError
from herald_core.model.events.event import MAX_SMALL, Event
from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    describe_broker_error,
    drop_connection,
)
from herald_monitor.celery_client.broker.transport import has_fanout
from herald_monitor.celery_client.workers.active_queues import (
    ConsumedQueue,
    read_consumed,
)
from herald_monitor.celery_client.workers.broadcast_query import (
    BroadcastQuery,
    BroadcastReplies,
    Query,
    UnansweredQuery,
)
from herald_monitor.celery_client.workers.inspect_replies import (
    ACTIVE,
    QUEUES,
    RESERVED,
    SCHEDULED,
    STATS,
    ConsumedQueues,
    InspectReplies,
    Redact,
    RegisteredTasks,
    WorkerDescription,
    describe,
    read_answers,
    read_confirmed,
    read_registered,
    suppresses_events,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_TIMEOUT_S = 4.0
"""Seconds that the way to the broker may take, beyond the wait for answers."""


class WorkersUnreachable(HeraldError):
    """The broker did not let the question through."""


class WorkerInspector:
    """Queries of the workers of `app`, on threads of its own.

    A worker that does not answer costs the whole timeout, so query only running ones.
    On a broker without remote control none answers, at once.
    `redact` is applied to arguments.
    """

    def __init__(self, app: Celery, redact: Redact = str) -> None:
        self.rejected = 0
        self._app = app
        self._redact = redact
        # Two, so that one question may hang without holding up the next.
        self._threads = TimedThreadPool("herald-inspection", 2)

    async def inspect(
        self,
        hostnames: Sequence[str],
        timeout_s: float,
        expected: Mapping[str, int] | None = None,
        *,
        patient: bool = False,
    ) -> InspectReplies:
        """Return the tasks of `hostnames`, after at most `timeout_s` of silence.

        `expected` is the number of processes that share a name; a `patient` query gives
        more of them a chance. Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return InspectReplies()
        found = await self._run_on_thread(
            lambda q: _gather(q, hostnames, expected or {}, self._redact),
            timeout_s,
            expected,
            patient=patient,
        )
        self.rejected += found.rejected
        if found.rejected:
            logger.warning("%d answers of workers cannot be read", found.rejected)
        return found

    async def find_silent_workers(
        self, hostnames: Sequence[str], timeout_s: float
    ) -> set[str]:
        """Return which of `hostnames` have tasks that send no events.

        Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return set()
        arguments = {"taskinfoitems": ["send_events"]}

        def look(questions: Query) -> set[str]:
            replies = questions.send("registered", hostnames, arguments).by_host
            return {
                host
                for host, answers in replies.items()
                if any(map(suppresses_events, answers))
            }

        return await self._run_on_thread(look, timeout_s)

    async def read_registered(
        self, hostnames: Sequence[str], timeout_s: float
    ) -> dict[str, RegisteredTasks]:
        """Return which tasks each of `hostnames` that answers ignores and limits.

        Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return {}
        # This includes Celery's own tasks, such as celery.chord_unlock, which store no
        # result.
        arguments = {"taskinfoitems": ["ignore_result", "rate_limit"], "builtins": True}

        def look(questions: Query) -> dict[str, RegisteredTasks]:
            replies = questions.send("registered", hostnames, arguments).by_host
            return {host: read_registered(answers) for host, answers in replies.items()}

        return await self._run_on_thread(look, timeout_s)

    async def read_active_queues(self, timeout_s: float) -> ConsumedQueues:
        """Return the consumed queues of each worker that answers in `timeout_s`.

        The query takes that long if the broker does not count the receivers. Raises
        `WorkersUnreachable`.
        """

        def look(questions: Query) -> ConsumedQueues:
            replies = questions.send(QUEUES)
            queues = {
                host: tuple(queue for one in answers for queue in read_consumed(one))
                for host, answers in replies.by_host.items()
                if any(isinstance(one, list) for one in answers)
            }
            processes = {host: len(replies.by_host[host]) for host in queues}
            receivers = replies.receivers
            silent = None if receivers is None else max(receivers - replies.count, 0)
            return ConsumedQueues(queues, processes, silent)

        return await self._run_on_thread(look, timeout_s)

    async def describe(
        self,
        hostnames: Sequence[str],
        timeout_s: float,
        expected: Mapping[str, int] | None = None,
    ) -> dict[str, WorkerDescription]:
        """Return the description of each of `hostnames` that answers, by its `stats`.

        Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return {}

        def look(questions: Query) -> dict[str, WorkerDescription]:
            answers = questions.send(STATS, hostnames).by_host
            return {
                host: describe(answers[host]) for host in hostnames if host in answers
            }

        return await self._run_on_thread(look, timeout_s, expected, patient=True)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    async def _run_on_thread(
        self,
        look: Callable[[Query], T],
        timeout_s: float,
        expected: Mapping[str, int] | None = None,
        *,
        patient: bool = False,
    ) -> T:
        if not has_fanout(self._app):
            return look(UnansweredQuery())
        deadline = CONNECT_TIMEOUT_S + 4 * timeout_s

        def connected(_: None) -> T:
            connection = connect_broker(self._app)
            try:
                return look(
                    BroadcastQuery(
                        self._app, connection, timeout_s, expected, patient=patient
                    )
                )
            finally:
                drop_connection(connection)

        try:
            [found] = await self._threads.map(connected, [None], deadline)
        except Exception as error:  # any library's error
            silence = f"no answer within {deadline:.0f} s"
            why = describe_broker_error(self._app, error, silence)
            raise WorkersUnreachable(f"the workers cannot be asked: {why}") from error
        return found


class _ReplyCollector:
    """The collected answers to several queries, name by name."""

    def __init__(self, hostnames: Sequence[str], redact: Redact) -> None:
        self.pending = list(hostnames)
        self._redact = redact
        self._events: list[Event] = []
        self._consumed: dict[str, tuple[ConsumedQueue, ...]] = {}
        self._confirmed: dict[str, dict[str, bool]] = {}
        self._rejected = 0
        self._receivers: int | None = None
        self._partial_answers = dict.fromkeys(hostnames, MAX_SMALL)

    def add_answers(
        self, command: str, replies: BroadcastReplies, received_at: float
    ) -> None:
        """Add the answers to `command`; workers without one are not queried again."""
        if self._receivers is None:
            self._receivers = replies.receivers
        for name in self.pending:
            answers = replies.by_host.get(name, [])
            # A worker returns an error instead of a list.
            lists: list[object] = [one for one in answers if isinstance(one, list)]
            self._rejected += len(answers) - len(lists)
            self._partial_answers[name] = min(self._partial_answers[name], len(lists))
            for one in lists:
                self._read(command, name, one, received_at)
        self.pending = [name for name in self.pending if self._partial_answers[name]]

    def _read(
        self, command: str, name: str, answer: object, received_at: float
    ) -> None:
        if command == QUEUES:
            self._consumed[name] = self._consumed.get(name, ()) + read_consumed(answer)
            return
        events, rejected = read_answers(
            command, name, answer, received_at, self._redact
        )
        self._events += events
        self._rejected += rejected
        if command == ACTIVE:
            self._confirmed.setdefault(name, {}).update(read_confirmed(answer))

    def to_replies(self, expected: Mapping[str, int]) -> InspectReplies:
        """Return all replies; `expected` counts the processes that share a name."""
        partly = {h: number for h, number in self._partial_answers.items() if number}
        answered = frozenset(h for h in self.pending if partly[h] >= expected.get(h, 1))
        return InspectReplies(
            answered=answered,
            events=self._events,
            consumed={h: q for h, q in self._consumed.items() if h in answered},
            rejected=self._rejected,
            confirmed=self._confirmed,
            partial_answers=partly,
            receivers=self._receivers,
        )


def _gather(
    questions: Query,
    hostnames: Sequence[str],
    expected: Mapping[str, int],
    redact: Redact,
) -> InspectReplies:
    collector = _ReplyCollector(hostnames, redact)
    # The order is that of a message's way: a message that moves on is seen again.
    for command in (QUEUES, SCHEDULED, RESERVED, ACTIVE):
        received_at = time.time()
        arguments = {"safe": True} if command == ACTIVE else {}
        replies = questions.send(command, collector.pending, arguments)
        collector.add_answers(command, replies, received_at)
        if not collector.pending:
            break
    return collector.to_replies(expected)
