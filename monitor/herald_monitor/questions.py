"""A question to workers over one connection, and every answer to it.

A nodename is no identity: several processes may answer by one name, and each answer
counts. kombu's own `Mailbox.call` stops after as many answers as there are names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

import msgspec
from celery import Celery
from kombu import Connection, Consumer

from herald_monitor.inspected import replies
from herald_monitor.redis_consumer import reads_directly

LINGER = 0.5
"""Seconds for which a patient question waits after an answer for one more."""


class Answers(msgspec.Struct):
    """The answers to one question. `by_host` keeps one for each process.

    `receivers` counts the processes that got the question, where the broker tells.
    """

    by_host: dict[str, list[object]] = {}
    receivers: int | None = None

    @property
    def count(self) -> int:
        """How many processes answered."""
        return sum(map(len, self.by_host.values()))

    def note(self, told: object) -> None:
        """Keep one reply, as kombu hands it over."""
        for host, answer in replies(told):
            self.by_host.setdefault(host, []).append(answer)


class Questions:
    """Asks workers of `app` over `connection`, which the caller opens and closes.

    `expected` tells of how many processes of a name it is known that they live.
    A question that is not `patient` ends as soon as so many have answered.
    """

    def __init__(
        self,
        app: Celery,
        connection: Connection,
        within: float,
        expected: Mapping[str, int] | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self._connection = connection
        self._within = within
        self._expected = expected or {}
        self._patient = patient
        self._channel: Any = cast(Any, connection).default_channel
        self._mailbox: Any = cast(Any, app).control.mailbox(connection)
        # Its pool would wait inside kombu, for ever, for a broker that is down.
        self._mailbox.producer_pool = None

    def ask(
        self,
        command: str,
        hostnames: Sequence[str] = (),
        arguments: Mapping[str, object] | None = None,
    ) -> Answers:
        """Return what `hostnames` answer to `command`; without any, what all answer."""
        answers = Answers()
        ticket = str(uuid4())
        self._count_receivers(answers)
        self._mailbox._publish(
            command,
            dict(arguments or {}),
            destination=list(hostnames) or None,
            reply_ticket=ticket,
            channel=self._channel,
            timeout=self._within,
        )
        self._collect(ticket, answers, hostnames)
        return answers

    def _collect(self, ticket: str, answers: Answers, hostnames: Sequence[str]) -> None:
        def hear(body: object, message: Any) -> None:
            self._mailbox.clock.adjust(message.headers.get("clock") or 0)
            if message.headers.get("ticket", ticket) == ticket:
                answers.note(body)

        queue = self._mailbox.reply_queue
        accept = self._mailbox.accept
        consumer = Consumer(self._channel, [queue], accept=accept, no_ack=True)
        cast(Any, consumer).register_callback(hear)
        with cast(Any, consumer):
            self._drain(self._wait_for(answers, hostnames))
        self._channel.after_reply_message_received(queue.name)

    def _drain(self, pause: Callable[[float], float]) -> None:
        """Take answers for as long as `pause`, given what is left, says so."""
        until = time.monotonic() + self._within
        while (left := pause(until - time.monotonic())) > 0:
            try:
                self._connection.drain_events(timeout=left)
            except TimeoutError:
                return

    def _wait_for(
        self, answers: Answers, hostnames: Sequence[str]
    ) -> Callable[[float], float]:
        def pause(left: float) -> float:
            if answers.receivers is not None and answers.count >= answers.receivers:
                return 0.0  # there is nobody else
            if not hostnames or not self._are_enough(answers, hostnames):
                return left
            return min(left, LINGER) if self._patient else 0.0

        return pause

    def _are_enough(self, answers: Answers, hostnames: Sequence[str]) -> bool:
        told = answers.by_host
        return all(len(told.get(h, ())) >= self._expected.get(h, 1) for h in hostnames)

    def _count_receivers(self, answers: Answers) -> None:
        """Have Redis count who receives the question, as PUBLISH answers."""
        if not reads_directly(self._connection):
            return
        channel = self._channel

        def counting() -> object:
            client = cast(Any, type(channel))._create_client(channel)
            publish = cast("Callable[[str, object], int]", client.publish)

            def count(topic: str, message: object) -> int:
                got = int(publish(topic, message))
                answers.receivers = (answers.receivers or 0) + got
                return got

            client.publish = count
            return cast(object, client)

        channel._create_client = counting
