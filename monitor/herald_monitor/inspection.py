"""Workers, asked by name what they have. Nobody waits longer than they were told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from celery import Celery

from herald_monitor.askers import Askers
from herald_monitor.consumers import broker_connection, broker_name, let_go
from herald_monitor.errors import HeraldError
from herald_monitor.inspected import (
    ACTIVE,
    QUEUES,
    RESERVED,
    SCHEDULED,
    STATS,
    Inspected,
    Redact,
    keeps_silent,
    read_answers,
    read_confirmed,
    read_queues,
    read_slots,
    replies,
)
from herald_monitor.model.events import Event

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECTING = 4.0
"""Seconds that the way to the broker may take, beyond the wait for answers."""

Asking: TypeAlias = Callable[[str, Sequence[str], dict[str, object]], dict[str, object]]
"""Command, hostnames (none: all) and arguments to hostname → answer."""


class WorkersUnreachable(HeraldError):
    """The broker did not let the question through."""


class Inspection:
    """Asks workers of `app`, on threads of its own.

    Who does not answer costs the whole wait, so ask those that live. `redact` is
    applied to arguments.
    """

    def __init__(self, app: Celery, redact: Redact = str) -> None:
        self.poison = 0
        self._app = app
        self._redact = redact
        # Two, so that one question may hang without holding up the next.
        self._askers = Askers("herald-inspection", 2)

    async def ask(self, hostnames: Sequence[str], within: float) -> Inspected:
        """Return what `hostnames` have, after `within` seconds of silence at most.

        Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return Inspected()
        found = await self._aside(lambda: self._look(hostnames, within), within)
        self.poison += found.poison
        if found.poison:
            logger.warning("%d answers of workers cannot be read", found.poison)
        return found

    async def silent_tasks(self, hostnames: Sequence[str], within: float) -> set[str]:
        """Return which of `hostnames` have tasks that send no events.

        Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return set()

        def look() -> set[str]:
            asked: dict[str, object] = {"taskinfoitems": ["send_events"]}
            told = self._connected(
                lambda ask: ask("registered", hostnames, asked), within
            )
            return {host for host, answer in replies(told) if keeps_silent(answer)}

        return await self._aside(look, within)

    async def consumed(self, within: float) -> dict[str, frozenset[str]]:
        """Return what queues each worker consumes, of all that answer in `within` s.

        Takes that long: nobody knows who there is. Raises `WorkersUnreachable`.
        """

        def look() -> dict[str, frozenset[str]]:
            told = self._connected(lambda ask: ask(QUEUES, [], {}), within)
            return {
                host: frozenset(read_queues(cast("list[object]", answer)))
                for host, answer in replies(told)
                if isinstance(answer, list)
            }

        return await self._aside(look, within)

    async def slots(self, hostnames: Sequence[str], within: float) -> dict[str, int]:
        """Return how many tasks each of `hostnames` can run at a time, if it says so.

        Raises `WorkersUnreachable`.
        """

        def look() -> dict[str, int]:
            told = self._connected(lambda ask: ask(STATS, hostnames, {}), within)
            found = {host: read_slots(told.get(host)) for host in hostnames}
            return {host: slots for host, slots in found.items() if slots is not None}

        return await self._aside(look, within) if hostnames else {}

    def close(self) -> None:
        """Let the threads end."""
        self._askers.close()

    async def _aside(self, look: Callable[[], T], within: float) -> T:
        deadline = CONNECTING + 4 * within
        try:
            [found] = await self._askers.ask(lambda _: look(), [None], deadline)
        except Exception as error:  # any library's error
            why = str(error) or f"no answer within {deadline:.0f} s"
            raise WorkersUnreachable(
                f"the workers cannot be asked through {broker_name(self._app)}"
                f" ({why}); see that the broker runs"
            ) from error
        return found

    def _look(self, hostnames: Sequence[str], within: float) -> Inspected:
        return self._connected(lambda ask: self._gather(ask, hostnames), within)

    def _gather(self, ask: Asking, hostnames: Sequence[str]) -> Inspected:
        events: list[Event] = []
        queues: set[str] = set()
        confirmed: dict[str, dict[str, bool]] = {}
        poison = 0
        asked = list(hostnames)
        # In the order in which a message travels: what moves on is met again.
        for command in (QUEUES, SCHEDULED, RESERVED, ACTIVE):
            heard = time.time()
            arguments: dict[str, object] = {"safe": True} if command == ACTIVE else {}
            told = ask(command, asked, arguments)
            # Instead of a list, a worker tells an error.
            asked = [name for name in asked if isinstance(told.get(name), list)]
            poison += len(told) - len(asked)
            for name in asked:
                if command == QUEUES:
                    queues |= read_queues(told[name])
                    continue
                found, bad = read_answers(
                    command, name, told[name], heard, self._redact
                )
                if command == ACTIVE:
                    confirmed[name] = read_confirmed(told[name])
                events += found
                poison += bad
            if not asked:
                break
        return Inspected(frozenset(asked), events, frozenset(queues), poison, confirmed)

    def _connected(self, look: Callable[[Asking], T], within: float) -> T:
        connection = broker_connection(self._app)
        try:
            mailbox = cast(Any, self._app).control.mailbox(connection)
            # Its pool would wait inside kombu, for ever, for a broker that is down.
            mailbox.producer_pool = None

            def ask(
                command: str, hostnames: Sequence[str], arguments: dict[str, object]
            ) -> dict[str, object]:
                answers: dict[str, object] = {}

                def note(told: object) -> None:
                    answers.update(replies(told))

                bounds = {"timeout": within, "callback": note}
                if hostnames:
                    mailbox.call(list(hostnames), command, arguments, **bounds)
                else:
                    mailbox.multi_call(command, arguments, **bounds)
                return answers

            return look(ask)
        finally:
            let_go(connection)
