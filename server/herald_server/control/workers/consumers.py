"""The consumers of one queue: which workers have one, and how it is bound. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from herald_core.model.workers.queue_pause import PausedConsumer
from herald_core.model.workers.worker import WorkerView

Answers = Mapping[str, Sequence[object]]
"""By hostname, what each process answered to `active_queues`."""


def find_consumers(
    queue: str, answers: Answers, workers: Iterable[WorkerView]
) -> dict[str, PausedConsumer]:
    """Return the workers that consume `queue`, by hostname."""
    known = {one.hostname: one for one in workers}
    return {
        host: _make_consumer(described, known.get(host))
        for host, processes in answers.items()
        if (described := _find_queue(queue, processes)) is not None
    }


def _find_queue(queue: str, processes: Sequence[object]) -> Mapping[str, object] | None:
    lists = [cast("list[object]", one) for one in processes if isinstance(one, list)]
    for description in (_to_mapping(one) for some in lists for one in some):
        if description.get("name") == queue:
            return description
    return None


def _make_consumer(
    description: Mapping[str, object], worker: WorkerView | None
) -> PausedConsumer:
    exchange = _to_mapping(description.get("exchange"))
    return PausedConsumer(
        pid=worker.pid if worker else None,
        started_at=worker.started_at if worker else None,
        exchange=_read_text(exchange.get("name")),
        exchange_type=_read_text(exchange.get("type")),
        routing_key=_read_text(description.get("routing_key")),
    )


def make_arguments(queue: str, consumer: PausedConsumer) -> dict[str, Any]:
    """Return the arguments of `add_consumer` that restore `consumer`."""
    given = {
        "exchange": consumer.exchange,
        "exchange_type": consumer.exchange_type,
        "routing_key": consumer.routing_key,
    }
    return {"queue": queue, **{key: one for key, one in given.items() if one}}


def list_answered(answers: Answers) -> frozenset[str]:
    """Return the workers that said what they consume."""
    return frozenset(
        host
        for host, processes in answers.items()
        if processes and all(isinstance(one, list) for one in processes)
    )


def _to_mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _read_text(value: object) -> str | None:
    return value[:255] if isinstance(value, str) and value else None
