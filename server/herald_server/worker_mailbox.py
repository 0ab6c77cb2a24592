"""Commands to workers through the broker, and their answers, within bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from celery import Celery

from herald_monitor.askers import Askers
from herald_monitor.consumers import broker_connection, let_go
from herald_monitor.inspected import replies
from herald_server.sending import BrokerUnreachable, broker_trouble

CONNECTING = 8.0
"""Seconds that connecting may take, beyond the wait for answers."""

Answers = dict[str, object]
"""What each worker answered, by hostname."""


class WorkerMailbox:
    """Sends commands to the workers of `app`, on threads of its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._askers = Askers("herald-mailbox", 4)

    async def call(
        self,
        command: str,
        arguments: dict[str, object],
        within: float,
        *,
        hosts: Sequence[str] = (),
        only: bool = False,
    ) -> Answers:
        """Send `command` to all workers (or `only` to `hosts`); return the answers.

        Returns once as many have answered as there are `hosts`, after `within` seconds
        at the latest. Raises `BrokerUnreachable`.
        """
        asked = _Question(command, arguments, within, tuple(hosts), only)
        try:
            [told] = await self._askers.ask(self._call, [asked], CONNECTING + within)
        except Exception as error:  # any library's error
            raise BrokerUnreachable(broker_trouble(self._app, error)) from error
        return told

    def _call(self, asked: _Question) -> Answers:
        connection = broker_connection(self._app)
        try:
            mailbox = cast(Any, self._app).control.mailbox(connection)
            # Its pool would wait inside kombu, for ever, for a broker that is down.
            mailbox.producer_pool = None
            answers: Answers = {}

            def note(told: object) -> None:
                answers.update(replies(told))

            mailbox._broadcast(
                asked.command,
                asked.arguments,
                destination=list(asked.hosts) if asked.only else None,
                reply=True,
                timeout=asked.within,
                limit=len(asked.hosts) or None,
                callback=note,
            )
            return answers
        finally:
            let_go(connection)


class _Question:
    def __init__(
        self,
        command: str,
        arguments: dict[str, object],
        within: float,
        hosts: tuple[str, ...],
        only: bool,
    ) -> None:
        self.command = command
        self.arguments = arguments
        self.within = within
        self.hosts = hosts
        self.only = only
