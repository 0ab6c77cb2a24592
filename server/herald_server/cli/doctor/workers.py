"""Query the configuration of workers; nothing is left changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from celery import Celery
from kombu import Connection, Consumer

from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
)
from herald_monitor.celery_client.workers.inspect_replies import iter_replies
from herald_server.cli.doctor.report import Heartbeat, WorkerFacts, merge_heartbeat
from herald_server.cli.doctor.rules import read_app_settings

TIMEOUT_S = 1.5
"""Seconds to wait for responses while the workers are unknown."""

LONG_TIMEOUT_FACTOR = 3
"""Factor of the timeout once the workers are known."""

EVENTS_ENABLED = "task events enabled"
"""What a worker answers that did not send them before."""

HEARTBEAT = "worker-heartbeat"
SENT = "task-sent"

Answers = Mapping[str, object]


def ask_workers(
    app: Celery, outbox: Mapping[str, Heartbeat], patience: float = TIMEOUT_S
) -> tuple[tuple[WorkerFacts, ...], tuple[str, ...]]:
    """Return the answers of all workers, by hostname, and the hosts of producers that
    announced tasks by the broker meanwhile.

    `outbox` are the heartbeats of workers that write to the outbox: they send none by
    the broker. Takes one `patience` to find the workers, and up to five if some are
    slow.
    """
    connection = connect_broker(app)
    try:
        asked = _Questions(app, connection, patience)
        confs = asked.ask("conf", {"with_defaults": True})
        asked.hosts = sorted(confs)
        others = [host for host in asked.hosts if host not in outbox]
        listener = _EventListener()
        if confs:
            listener.listen(app, others, patience)
        told = asked.ask("registered", {"taskinfoitems": ["send_events"]})
        events = asked.find_event_senders(others)
    finally:
        drop_connection(connection)
    heard = {**listener.heartbeats, **outbox}
    found = tuple(
        _make_facts(
            host, confs[host], events, heard.get(host), told.get(host), host in outbox
        )
        for host in asked.hosts
    )
    return found, tuple(sorted(listener.producers))


def _make_facts(
    host: str,
    conf: object,
    events: Mapping[str, bool],
    beat: Heartbeat | None,
    tasks: object,
    outbox: bool,
) -> WorkerFacts:
    known = beat or Heartbeat()
    return WorkerFacts(
        host,
        read_app_settings(_to_mapping(conf)),
        True if outbox else events.get(host),
        known.skew,
        known.version,
        _find_silent_tasks(tasks),
        known.own,
        outbox,
    )


def list_unasked_workers(outbox: Mapping[str, Heartbeat]) -> tuple[WorkerFacts, ...]:
    """Return the workers that are known by the outbox alone."""
    return tuple(
        _make_facts(host, None, {}, outbox[host], None, True) for host in sorted(outbox)
    )


class _Questions:
    """Queries over one connection, to `hosts` once they are known."""

    def __init__(self, app: Celery, connection: Connection, patience: float) -> None:
        self._app = app
        self._connection = connection
        self._timeout = patience
        self.hosts: list[str] = []

    def ask(
        self,
        command: str,
        arguments: dict[str, object] | None = None,
        to: list[str] | None = None,
    ) -> Answers:
        """Return the answer of each worker, as soon as all known ones have answered."""
        to = to or self.hosts or None
        answered = cast(Any, self._app).control.broadcast(
            command,
            arguments=arguments or {},
            destination=to,
            connection=self._connection,
            reply=True,
            # With known workers the answers are counted.
            timeout=self._timeout * (LONG_TIMEOUT_FACTOR if to else 1),
            limit=len(to) if to else None,
        )
        return {
            str(host): answer
            for one in cast("list[object]", answered or [])
            for host, answer in iter_replies(one)
        }

    def find_event_senders(self, hosts: list[str]) -> dict[str, bool]:
        """Return which of `hosts` send task events: enable them, and undo it."""
        if not hosts:
            return {}
        told = self.ask("enable_events", to=hosts)
        said = {
            host: str(_to_mapping(answer).get("ok")) for host, answer in told.items()
        }
        off = [host for host, answer in said.items() if answer == EVENTS_ENABLED]
        if off:
            self.ask("disable_events", to=off)
        return {host: host not in off for host in said}


class _EventListener:
    """Listens to the broker's events, over a connection of its own: on the other one
    replies are counted.

    `heartbeats` are those of workers by hostname, `producers` the hosts that announced
    a task.
    """

    def __init__(self) -> None:
        self.heartbeats: dict[str, Heartbeat] = {}
        self.producers: set[str] = set()

    def listen(self, app: Celery, hosts: list[str], patience: float) -> None:
        """Listen until all `hosts` were heard, and for `patience` seconds at least."""
        connection = connect_broker(app)
        try:
            receiver = cast(Any, app).events.Receiver(connection)
            consumer = Consumer(
                cast(Any, connection).default_channel,
                queues=[receiver.queue],
                callbacks=[self._note],
                accept=receiver.accept,
                no_ack=True,
            )
            with cast(Any, consumer):
                cast(Any, app).control.broadcast("heartbeat", connection=connection)
                heard_all = self._make_end(hosts, time.monotonic() + patience)
                _drain(connection, LONG_TIMEOUT_FACTOR * patience, heard_all)
        finally:
            drop_connection(connection)

    def _make_end(self, hosts: list[str], not_before: float) -> Callable[[], bool]:
        known = self.heartbeats

        def is_over() -> bool:
            heard = all(host in known and known[host].own for host in hosts)
            return heard and time.monotonic() >= not_before

        return is_over

    def _note(self, body: object, _: object) -> None:
        now = time.time()
        several = isinstance(body, list)
        for event in cast("list[object]", body) if several else [body]:
            told = _to_mapping(event)
            at, host = told.get("timestamp"), str(told.get("hostname"))
            if told.get("type") == SENT:
                self.producers.add(host.rpartition("@")[2])
            elif told.get("type") == HEARTBEAT and isinstance(at, int | float):
                known = self.heartbeats.get(host)
                self.heartbeats[host] = merge_heartbeat(known, told, at - now)


def _drain(connection: Connection, most: float, enough: Callable[[], bool]) -> None:
    """Read for `most` seconds: a worker sends a heartbeat every 2 s."""
    until = time.monotonic() + most
    while (left := until - time.monotonic()) > 0 and not enough():
        try:
            cast(Any, connection).drain_events(timeout=min(left, 0.2))
        except TimeoutError:
            continue


def _find_silent_tasks(answer: object) -> tuple[str, ...]:
    """Return the tasks without events, listed as `name [send_events=False]`."""
    listed = cast("list[object]", answer) if isinstance(answer, list) else []
    names = (str(one) for one in listed)
    return tuple(n.partition(" ")[0] for n in names if "send_events=False" in n)


def _to_mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
