"""Queues as everybody is shown them, and what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import unix
from herald_server.durations import spoken


def shown(queue: QueueImage, now: float) -> dict[str, Any]:
    """Return `queue` with `oldest_age` in seconds, and `stranded` if it is."""
    fields: dict[str, Any] = msgspec.to_builtins(queue)
    age = oldest_age(queue, now)
    if age is not None:
        fields["oldest_age"] = age
    if queue.stranded:
        fields["stranded"] = True
    return fields


def oldest_age(queue: QueueImage, now: float) -> float | None:
    """Return for how many seconds the oldest message waits by `now`, if known."""
    if queue.oldest_at is None or queue.depth == 0:
        return None
    return round(max(now - unix(queue.oldest_at), 0.0), 1)


def consumers(queue: QueueImage) -> int | None:
    """Return how many take from `queue`, by its broker or by the workers."""
    if queue.consumer_count is not None:
        return queue.consumer_count
    return None if queue.consumers is None else len(queue.consumers)


def behind(queue: QueueImage | None) -> str:
    """Return what a task that waits in `queue` waits behind, as far as is known."""
    if queue is None or not queue.depth:
        return " behind other tasks"
    others = f", in which {queue.depth:,} tasks wait"
    if queue.drain_seconds:
        return f"{others} (empty in about {spoken(queue.drain_seconds)} at this rate)"
    return others


def by_trouble(queues: Iterable[QueueImage]) -> list[QueueImage]:
    """Return queues, those first that nobody consumes, then the deepest."""
    return sorted(queues, key=lambda q: (not q.stranded, -(q.depth or 0), q.name))


def said(queues: Iterable[QueueImage]) -> str:
    """Return a sentence about queues in which messages wait for nobody, if any do."""
    stranded = [f"{q.name} ({q.depth})" for q in by_trouble(queues) if q.stranded]
    if not stranded:
        return ""
    return f"Tasks wait where no worker takes them: {', '.join(stranded[:10])}."
