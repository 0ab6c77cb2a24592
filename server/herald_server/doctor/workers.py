"""Workers, asked how they are set. Nothing is left changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from celery import Celery
from kombu import Connection, Consumer

from herald_monitor.consumers import broker_connection, let_go
from herald_monitor.inspected import replies
from herald_server.doctor.facts import WorkerFacts
from herald_server.doctor.rules import settings_of

PATIENCE = 1.5
"""Seconds for which answers are waited for: nobody knows who there is."""

PATIENT = 3
"""Times as long, once it is known who will answer."""

ON = "task events enabled"
"""What a worker answers that did not send them before."""

BEAT = "worker-heartbeat"

Answers = Mapping[str, object]


class Beat(NamedTuple):
    """A worker's heartbeat. `own`: it was not only sent because we asked for it.

    Those that are asked for tell nothing of what the worker does.
    """

    skew: float | None = None
    version: str = ""
    own: bool = False


def ask_workers(app: Celery, patience: float = PATIENCE) -> tuple[WorkerFacts, ...]:
    """Return what all workers answer, by hostname.

    Takes one `patience` to learn who there is, and up to five where some are slow.
    """
    connection = broker_connection(app)
    try:
        asked = _Asked(app, connection, patience)
        confs = asked.ask("conf", {"with_defaults": True})
        asked.hosts = sorted(confs)
        heard = _heartbeats(app, asked.hosts, patience) if confs else {}
        silence = Beat()
        told = asked.ask("registered", {"taskinfoitems": ["send_events"]})
        events = asked.events()
    finally:
        let_go(connection)
    return tuple(
        WorkerFacts(
            host,
            settings_of(_mapping(confs[host])),
            events.get(host),
            heard.get(host, silence).skew,
            heard.get(host, silence).version,
            _silent(told.get(host)),
            heard.get(host, silence).own,
        )
        for host in asked.hosts
    )


class _Asked:
    """Questions over one connection, to `hosts` once it is known who there is."""

    def __init__(self, app: Celery, connection: Connection, patience: float) -> None:
        self._app = app
        self._connection = connection
        self._patience = patience
        self.hosts: list[str] = []

    def ask(
        self,
        command: str,
        arguments: dict[str, object] | None = None,
        to: list[str] | None = None,
    ) -> Answers:
        """Return what each worker answers, as soon as all that are known have."""
        to = to or self.hosts or None
        answered = cast(Any, self._app).control.broadcast(
            command,
            arguments=arguments or {},
            destination=to,
            connection=self._connection,
            reply=True,
            # Of those that are known the answers are counted.
            timeout=self._patience * (PATIENT if to else 1),
            limit=len(to) if to else None,
        )
        return {
            str(host): answer
            for one in cast("list[object]", answered or [])
            for host, answer in replies(one)
        }

    def events(self) -> dict[str, bool]:
        """Return who sends events of tasks: by asking for them, and taking it back."""
        if not self.hosts:
            return {}
        told = self.ask("enable_events")
        said = {host: str(_mapping(answer).get("ok")) for host, answer in told.items()}
        off = [host for host, answer in said.items() if answer == ON]
        if off:
            self.ask("disable_events", to=off)
        return {host: host not in off for host in said}


def _heartbeats(app: Celery, hosts: list[str], patience: float) -> dict[str, Beat]:
    """Return the heartbeats of workers, by hostname.

    On a connection of its own: answers are counted on the other one.
    """
    heard: dict[str, Beat] = {}

    def note(body: object, _: object) -> None:
        now = time.time()
        several = isinstance(body, list)
        for event in cast("list[object]", body) if several else [body]:
            told = _mapping(event)
            at, host = told.get("timestamp"), told.get("hostname")
            if told.get("type") == BEAT and isinstance(at, int | float):
                before = heard.get(str(host), Beat())
                skew = at - now if before.skew is None else before.skew
                version = str(told.get("sw_ver") or before.version)
                own = before.own or "active" in told
                heard[str(host)] = Beat(skew, version, own)

    connection = broker_connection(app)
    try:
        receiver = cast(Any, app).events.Receiver(connection)
        consumer = Consumer(
            cast(Any, connection).default_channel,
            queues=[receiver.queue],
            callbacks=[note],
            accept=receiver.accept,
            no_ack=True,
        )
        with cast(Any, consumer):
            cast(Any, app).control.broadcast("heartbeat", connection=connection)
            _drain(
                connection,
                PATIENT * patience,
                lambda: all(host in heard and heard[host].own for host in hosts),
            )
    finally:
        let_go(connection)
    return heard


def _drain(connection: Connection, most: float, enough: Callable[[], bool]) -> None:
    """Read for `most` seconds: a worker beats by itself every 2 s."""
    until = time.monotonic() + most
    while (left := until - time.monotonic()) > 0 and not enough():
        try:
            cast(Any, connection).drain_events(timeout=min(left, 0.2))
        except TimeoutError:
            continue


def _silent(answer: object) -> tuple[str, ...]:
    """Return the tasks without events, told as `name [send_events=False]`."""
    listed = cast("list[object]", answer) if isinstance(answer, list) else []
    names = (str(one) for one in listed)
    return tuple(n.partition(" ")[0] for n in names if "send_events=False" in n)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
