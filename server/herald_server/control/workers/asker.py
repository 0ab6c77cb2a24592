"""Questions and commands to single workers, in bounded time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery

from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
    require_control,
)
from herald_monitor.celery_client.workers.broadcast_query import (
    BroadcastQuery,
    BroadcastReplies,
)
from herald_server.control.start.publisher import (
    BrokerUnreachable,
    describe_silent_broker,
)

CONNECT_TIMEOUT_S = 8.0
"""Seconds for connecting, in addition to the wait for answers."""

MAX_THREADS = 4

Questions = Mapping[str, Mapping[str, Any]]
"""Commands of Celery's remote control, with their arguments."""

Answers = dict[str, dict[str, list[object]]]
"""By question and hostname, what each process of that name answered."""


class WorkerAsker:
    """Asks workers of `app`, on threads of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._threads = TimedThreadPool("herald-worker-orders", MAX_THREADS)

    def require_control(self) -> None:
        """Raise `UnsupportedByBroker` if no command can reach the workers."""
        require_control(self._app)

    async def ask(
        self,
        questions: Questions,
        hosts: Sequence[str],
        timeout_s: float,
        expected: Mapping[str, int] | None = None,
        *,
        all_hosts: bool = False,
    ) -> Answers:
        """Return the answers of `hosts` (`all_hosts`: of every worker) to `questions`.

        A worker has `timeout_s` for each question; hosts that leave one unanswered are
        not asked the next. `expected` counts the processes that share a name. Raises
        `BrokerUnreachable`, `UnsupportedByBroker`.
        """
        self.require_control()

        def work(_: None) -> Answers:
            return self._ask(questions, hosts, timeout_s, expected, all_hosts)

        try:
            [found] = await self._threads.map(
                work, [None], CONNECT_TIMEOUT_S + timeout_s * len(questions)
            )
        except Exception as error:  # any library's error
            raise BrokerUnreachable(describe_silent_broker(self._app, error)) from error
        return found

    def _ask(
        self,
        questions: Questions,
        hosts: Sequence[str],
        timeout_s: float,
        expected: Mapping[str, int] | None,
        all_hosts: bool,
    ) -> Answers:
        answers: Answers = {}
        left = [] if all_hosts else list(hosts)
        connection = connect_broker(self._app)
        try:
            query = BroadcastQuery(self._app, connection, timeout_s, expected)
            for command, arguments in questions.items():
                if not left and not all_hosts:
                    break
                replies: BroadcastReplies = query.send(command, left, arguments)
                answers[command] = replies.by_host
                left, all_hosts = sorted(replies.by_host), False
        finally:
            drop_connection(connection)
        return answers
