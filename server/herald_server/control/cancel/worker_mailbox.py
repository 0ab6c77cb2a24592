"""Send remote-control commands to workers and collect replies, in bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from celery import Celery

from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
    require_control,
)
from herald_monitor.celery_client.workers.inspect_replies import iter_replies
from herald_server.control.start.publisher import (
    BrokerUnreachable,
    describe_silent_broker,
)

CONNECT_TIMEOUT_S = 8.0
"""Seconds for connecting, in addition to the wait for responses."""

Answers = dict[str, object]
"""What each worker answered, by hostname."""


class WorkerMailbox:
    """Sends commands to the workers of `app`, on its own threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._threads = TimedThreadPool("herald-mailbox", 4)

    def require_control(self) -> None:
        """Raise `UnsupportedByBroker` if no command can reach the workers."""
        require_control(self._app)

    async def call(
        self,
        command: str,
        arguments: dict[str, object],
        timeout_s: float,
        *,
        hosts: Sequence[str] = (),
        only: bool = False,
    ) -> Answers:
        """Send `command` to all workers (or `only` to `hosts`); return the replies.

        Returns once as many have replied as there are `hosts`, after `timeout_s`
        at the latest. Raises `BrokerUnreachable`, `UnsupportedByBroker`.
        """
        self.require_control()
        call = _MailboxCall(command, arguments, timeout_s, tuple(hosts), only)
        try:
            [answers] = await self._threads.map(
                self._call, [call], CONNECT_TIMEOUT_S + timeout_s
            )
        except Exception as error:  # any library's error
            raise BrokerUnreachable(describe_silent_broker(self._app, error)) from error
        return answers

    def _call(self, call: _MailboxCall) -> Answers:
        connection = connect_broker(self._app)
        try:
            mailbox = cast(Any, self._app).control.mailbox(connection)
            # Its pool would wait forever inside kombu for a broker that is down.
            mailbox.producer_pool = None
            answers: Answers = {}

            def note(reply: object) -> None:
                answers.update(iter_replies(reply))

            mailbox._broadcast(
                call.command,
                call.arguments,
                destination=list(call.hosts) if call.only else None,
                reply=True,
                timeout=call.timeout_s,
                limit=len(call.hosts) or None,
                callback=note,
            )
            return answers
        finally:
            drop_connection(connection)


class _MailboxCall:
    def __init__(
        self,
        command: str,
        arguments: dict[str, object],
        timeout_s: float,
        hosts: tuple[str, ...],
        only: bool,
    ) -> None:
        self.command = command
        self.arguments = arguments
        self.timeout_s = timeout_s
        self.hosts = hosts
        self.only = only
