"""A question to workers over one connection, and every answer to it.

A nodename is no identity: several processes may answer by one name, and each answer
counts. kombu's own `Mailbox.call` stops after as many answers as there are names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast
from uuid import uuid4

import msgspec
from celery import Celery
from kombu import Connection, Consumer

from herald_monitor.celery_client.broker.connection import can_read_directly
from herald_monitor.celery_client.workers.inspect_replies import iter_replies

LINGER_S = 0.5
"""Seconds for which a patient question waits after an answer for one more."""


class BroadcastReplies(msgspec.Struct):
    """The answers to one query. `by_host` holds one for each process.

    `receivers` counts the processes that received the query, if the broker returns it.
    """

    by_host: dict[str, list[object]] = {}
    receivers: int | None = None

    @property
    def count(self) -> int:
        """The number of processes that answered."""
        return sum(map(len, self.by_host.values()))

    def add_reply(self, reply: object) -> None:
        """Add one reply, as kombu delivers it."""
        for host, answer in iter_replies(reply):
            self.by_host.setdefault(host, []).append(answer)


class Query(Protocol):
    """What sends questions to workers."""

    def send(
        self,
        command: str,
        hostnames: Sequence[str] = (),
        arguments: Mapping[str, object] | None = None,
    ) -> BroadcastReplies:
        """Return the answers of `hostnames` to `command`."""
        ...


class UnansweredQuery:
    """A query over a broker that carries no question to any worker."""

    def send(
        self,
        command: str,
        hostnames: Sequence[str] = (),
        arguments: Mapping[str, object] | None = None,
    ) -> BroadcastReplies:
        """Return no answer."""
        return BroadcastReplies()


class BroadcastQuery:
    """A query of the workers of `app` over `connection`, which the caller manages.

    `expected` is the known number of running processes of a name. A query that is not
    `patient` ends as soon as that many have answered.
    """

    def __init__(
        self,
        app: Celery,
        connection: Connection,
        timeout_s: float,
        expected: Mapping[str, int] | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._expected = expected or {}
        self._patient = patient
        self._channel: Any = cast(Any, connection).default_channel
        self._mailbox: Any = cast(Any, app).control.mailbox(connection)
        # Its pool would wait inside kombu, for ever, for a broker that is down.
        self._mailbox.producer_pool = None

    def send(
        self,
        command: str,
        hostnames: Sequence[str] = (),
        arguments: Mapping[str, object] | None = None,
    ) -> BroadcastReplies:
        """Return the answers of `hostnames` to `command`; without any, those of all
        workers.
        """
        answers = BroadcastReplies()
        ticket = str(uuid4())
        self._count_receivers(answers)
        self._mailbox._publish(
            command,
            dict(arguments or {}),
            destination=list(hostnames) or None,
            reply_ticket=ticket,
            channel=self._channel,
            timeout=self._timeout_s,
        )
        self._collect_replies(ticket, answers, hostnames)
        return answers

    def _collect_replies(
        self, ticket: str, answers: BroadcastReplies, hostnames: Sequence[str]
    ) -> None:
        def hear(body: object, message: Any) -> None:
            self._mailbox.clock.adjust(message.headers.get("clock") or 0)
            if message.headers.get("ticket", ticket) == ticket:
                answers.add_reply(body)

        queue = self._mailbox.reply_queue
        accept = self._mailbox.accept
        consumer = Consumer(self._channel, [queue], accept=accept, no_ack=True)
        cast(Any, consumer).register_callback(hear)
        with cast(Any, consumer):
            self._drain(self._wait_for(answers, hostnames))
        self._channel.after_reply_message_received(queue.name)

    def _drain(self, pause: Callable[[float], float]) -> None:
        """Receive answers until `pause`, given the remaining time, returns 0."""
        until = time.monotonic() + self._timeout_s
        while (left := pause(until - time.monotonic())) > 0:
            try:
                self._connection.drain_events(timeout=left)
            except TimeoutError:
                return

    def _wait_for(
        self, answers: BroadcastReplies, hostnames: Sequence[str]
    ) -> Callable[[float], float]:
        def pause(left: float) -> float:
            if answers.receivers is not None and answers.count >= answers.receivers:
                return 0.0  # no other process is expected
            if not hostnames or not self._is_complete(answers, hostnames):
                return left
            return min(left, LINGER_S) if self._patient else 0.0

        return pause

    def _is_complete(self, answers: BroadcastReplies, hostnames: Sequence[str]) -> bool:
        by_host = answers.by_host
        return all(
            len(by_host.get(h, ())) >= self._expected.get(h, 1) for h in hostnames
        )

    def _count_receivers(self, answers: BroadcastReplies) -> None:
        """Count the receivers of the query by Redis' answer to PUBLISH."""
        if not can_read_directly(self._connection):
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
