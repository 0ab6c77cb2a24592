"""Queues as everybody is shown them, and what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import unix
from herald_server.durations import spoken


def shown(queue: QueueImage, now: float) -> dict[str, Any]:
    """Return `queue` with `oldest_age` in seconds.

    `stranded` is there if it is true, and so is `may_be_stranded`.
    """
    fields: dict[str, Any] = msgspec.to_builtins(queue)
    age = oldest_age(queue, now)
    if age is not None:
        fields["oldest_age"] = age
    if queue.stranded:
        fields["stranded"] = True
    if queue.may_be_stranded:
        fields["may_be_stranded"] = True
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
    if queue is None or queue.depth is None:
        return ", in which Herald cannot count the tasks"
    if queue.depth == 0:
        return ", which was empty when it was measured last"
    others = f", in which {queue.depth:,} tasks wait"
    if queue.drain_seconds:
        return f"{others} (empty in about {spoken(queue.drain_seconds)} at this rate)"
    return others


def by_trouble(queues: Iterable[QueueImage]) -> list[QueueImage]:
    """Return queues, those first that nobody consumes, or perhaps nobody; then the
    deepest."""

    def rank(queue: QueueImage) -> tuple[int, int, str]:
        trouble = 0 if queue.stranded else 1 if queue.may_be_stranded else 2
        return trouble, -(queue.depth or 0), queue.name

    return sorted(queues, key=rank)


def said(queues: Iterable[QueueImage]) -> str:
    """Return a sentence about queues in which messages wait for nobody, if any do."""
    ordered = by_trouble(queues)
    stranded = [f"{q.name} ({q.depth})" for q in ordered if q.stranded]
    doubtful = [q for q in ordered if q.may_be_stranded]
    sentences: list[str] = []
    if stranded:
        listed = ", ".join(stranded[:10])
        sentences.append(f"Tasks wait where no worker takes them: {listed}.")
    if doubtful:
        listed = ", ".join(f"{q.name} ({q.depth})" for q in doubtful[:10])
        sentences.append(
            f"Perhaps nobody takes the tasks in {listed}: {said_by(doubtful[0])}."
        )
    return " ".join(sentences)


def said_by(queue: QueueImage) -> str:
    """Return who takes from `queue`, where not every living worker said so."""
    answered, unanswered = queue.answered or 0, queue.unanswered or 0
    if not answered:
        return f"none of {unanswered} living workers said what it consumes"
    return f"none of the {answered} that answered; {unanswered} did not answer"
