"""Workers, asked by name what they have. Nobody waits longer than they were told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from celery import Celery

from herald_monitor.askers import Askers
from herald_monitor.consumers import broker_connection, broker_refusal, let_go
from herald_monitor.errors import HeraldError
from herald_monitor.inspected import (
    ACTIVE,
    QUEUES,
    RESERVED,
    SCHEDULED,
    STATS,
    Consumed,
    Described,
    Inspected,
    Known,
    Redact,
    describe,
    keeps_silent,
    read_answers,
    read_confirmed,
    read_known,
)
from herald_monitor.inspected_queues import ConsumedQueue, read_consumed
from herald_monitor.model.events import MAX_SMALL, Event
from herald_monitor.questions import Answers, Questions

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECTING = 4.0
"""Seconds that the way to the broker may take, beyond the wait for answers."""


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

    async def ask(
        self,
        hostnames: Sequence[str],
        within: float,
        expected: Mapping[str, int] | None = None,
        *,
        patient: bool = False,
    ) -> Inspected:
        """Return what `hostnames` have, after `within` seconds of silence at most.

        `expected` tells how many processes share a name; a `patient` question gives
        more of them a chance. Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return Inspected()
        found = await self._aside(
            lambda q: _gather(q, hostnames, expected or {}, self._redact),
            within,
            expected,
            patient=patient,
        )
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
        asked = {"taskinfoitems": ["send_events"]}

        def look(questions: Questions) -> set[str]:
            told = questions.ask("registered", hostnames, asked).by_host
            return {h for h, answers in told.items() if any(map(keeps_silent, answers))}

        return await self._aside(look, within)

    async def known(self, hostnames: Sequence[str], within: float) -> dict[str, Known]:
        """Return which tasks each of `hostnames` that answers ignores and limits.

        Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return {}
        # With Celery's own, such as celery.chord_unlock, which keeps no result.
        asked = {"taskinfoitems": ["ignore_result", "rate_limit"], "builtins": True}

        def look(questions: Questions) -> dict[str, Known]:
            told = questions.ask("registered", hostnames, asked).by_host
            return {host: read_known(answers) for host, answers in told.items()}

        return await self._aside(look, within)

    async def consumed(self, within: float) -> Consumed:
        """Return what queues each worker consumes, of all that answer in `within` s.

        Takes that long where the broker does not tell how many there are. Raises
        `WorkersUnreachable`.
        """

        def look(questions: Questions) -> Consumed:
            told = questions.ask(QUEUES)
            named = {
                host: tuple(queue for one in answers for queue in read_consumed(one))
                for host, answers in told.by_host.items()
                if any(isinstance(one, list) for one in answers)
            }
            processes = {host: len(told.by_host[host]) for host in named}
            got = told.receivers
            unheard = None if got is None else max(got - told.count, 0)
            return Consumed(named, processes, unheard)

        return await self._aside(look, within)

    async def describe(
        self,
        hostnames: Sequence[str],
        within: float,
        expected: Mapping[str, int] | None = None,
    ) -> dict[str, Described]:
        """Return what each of `hostnames` that answers is, by its `stats`.

        Raises `WorkersUnreachable`.
        """
        if not hostnames:
            return {}

        def look(questions: Questions) -> dict[str, Described]:
            told = questions.ask(STATS, hostnames).by_host
            return {host: describe(told[host]) for host in hostnames if host in told}

        return await self._aside(look, within, expected, patient=True)

    def close(self) -> None:
        """Let the threads end."""
        self._askers.close()

    async def _aside(
        self,
        look: Callable[[Questions], T],
        within: float,
        expected: Mapping[str, int] | None = None,
        *,
        patient: bool = False,
    ) -> T:
        deadline = CONNECTING + 4 * within

        def connected(_: None) -> T:
            connection = broker_connection(self._app)
            try:
                return look(
                    Questions(self._app, connection, within, expected, patient=patient)
                )
            finally:
                let_go(connection)

        try:
            [found] = await self._askers.ask(connected, [None], deadline)
        except Exception as error:  # any library's error
            silence = f"no answer within {deadline:.0f} s"
            why = broker_refusal(self._app, error, silence)
            raise WorkersUnreachable(f"the workers cannot be asked: {why}") from error
        return found


class _Gathering:
    """What the answers to several questions come to, name by name."""

    def __init__(self, hostnames: Sequence[str], redact: Redact) -> None:
        self.asked = list(hostnames)
        self._redact = redact
        self._events: list[Event] = []
        self._consumed: dict[str, tuple[ConsumedQueue, ...]] = {}
        self._confirmed: dict[str, dict[str, bool]] = {}
        self._poison = 0
        self._receivers: int | None = None
        self._partly = dict.fromkeys(hostnames, MAX_SMALL)

    def take(self, command: str, told: Answers, heard: float) -> None:
        """Take the answers to `command`; who gave none is asked no more."""
        if self._receivers is None:
            self._receivers = told.receivers
        for name in self.asked:
            answers = told.by_host.get(name, [])
            # Instead of a list, a worker tells an error.
            lists: list[object] = [one for one in answers if isinstance(one, list)]
            self._poison += len(answers) - len(lists)
            self._partly[name] = min(self._partly[name], len(lists))
            for one in lists:
                self._read(command, name, one, heard)
        self.asked = [name for name in self.asked if self._partly[name]]

    def _read(self, command: str, name: str, answer: object, heard: float) -> None:
        if command == QUEUES:
            self._consumed[name] = self._consumed.get(name, ()) + read_consumed(answer)
            return
        found, bad = read_answers(command, name, answer, heard, self._redact)
        self._events += found
        self._poison += bad
        if command == ACTIVE:
            self._confirmed.setdefault(name, {}).update(read_confirmed(answer))

    def result(self, expected: Mapping[str, int]) -> Inspected:
        """Return all of it; `expected` tells how many processes share a name."""
        partly = {h: number for h, number in self._partly.items() if number}
        answered = frozenset(h for h in self.asked if partly[h] >= expected.get(h, 1))
        return Inspected(
            answered=answered,
            events=self._events,
            consumed={h: q for h, q in self._consumed.items() if h in answered},
            poison=self._poison,
            confirmed=self._confirmed,
            partly=partly,
            receivers=self._receivers,
        )


def _gather(
    questions: Questions,
    hostnames: Sequence[str],
    expected: Mapping[str, int],
    redact: Redact,
) -> Inspected:
    found = _Gathering(hostnames, redact)
    # In the order in which a message travels: what moves on is met again.
    for command in (QUEUES, SCHEDULED, RESERVED, ACTIVE):
        heard = time.time()
        arguments = {"safe": True} if command == ACTIVE else {}
        found.take(command, questions.ask(command, found.asked, arguments), heard)
        if not found.asked:
            break
    return found.result(expected)
