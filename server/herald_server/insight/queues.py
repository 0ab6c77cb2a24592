"""Present queues, and describe problems with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from herald_core.model.tasks.views import from_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_server.insight.duration_text import humanize


def to_view(queue: QueueView, now: float) -> dict[str, Any]:
    """Return `queue` with `oldest_age` in seconds.

    `stranded` and `may_be_unconsumed` are present if they are true.
    """
    fields: dict[str, Any] = msgspec.to_builtins(queue)
    age = compute_oldest_age(queue, now)
    if age is not None:
        fields["oldest_age"] = age
    if queue.is_unconsumed:
        fields["stranded"] = True
    if queue.may_be_unconsumed:
        fields["may_be_stranded"] = True
    return fields


def compute_oldest_age(queue: QueueView, now: float) -> float | None:
    """Return the age of the oldest message at `now` in seconds, if known."""
    if queue.oldest_at is None or queue.depth == 0:
        return None
    return round(max(now - from_rfc3339(queue.oldest_at), 0.0), 1)


def count_consumers(queue: QueueView) -> int | None:
    """Return the number of consumers of `queue`, from the broker or the workers."""
    if queue.consumer_count is not None:
        return queue.consumer_count
    return None if queue.consumers is None else len(queue.consumers)


def describe_position(queue: QueueView | None) -> str:
    """Return a text about how much waits in `queue`, as far as known."""
    if queue is None or queue.depth is None:
        return ", in which Herald cannot count the tasks"
    if queue.depth == 0:
        return ", which was empty when it was measured last"
    others = f", in which {queue.depth:,} tasks wait"
    if queue.drain_seconds:
        return f"{others} (empty in about {humanize(queue.drain_seconds)} at this rate)"
    return others


def sort_worst_first(queues: Iterable[QueueView]) -> list[QueueView]:
    """Return queues without consumers first, then doubtful ones, then the deepest."""

    def rank(queue: QueueView) -> tuple[int, int, str]:
        trouble = 0 if queue.is_unconsumed else 1 if queue.may_be_unconsumed else 2
        return trouble, -(queue.depth or 0), queue.name

    return sorted(queues, key=rank)


def describe_unconsumed(queues: Iterable[QueueView]) -> str:
    """Return a message about queues whose messages have no consumer; empty if none."""
    ordered = sort_worst_first(queues)
    stranded = [f"{q.name} ({q.depth})" for q in ordered if q.is_unconsumed]
    doubtful = [q for q in ordered if q.may_be_unconsumed]
    sentences = [
        f"{q.name} is paused by {q.paused.who} since {q.paused.since}."
        for q in ordered
        if q.paused is not None
    ][:10]
    if stranded:
        listed = ", ".join(stranded[:10])
        sentences.append(f"Tasks wait where no worker takes them: {listed}.")
    if doubtful:
        listed = ", ".join(f"{q.name} ({q.depth})" for q in doubtful[:10])
        sentences.append(
            f"Perhaps no worker takes the tasks in {listed}: "
            f"{describe_unanswered(doubtful[0])}."
        )
    return " ".join(sentences)


def describe_unanswered(queue: QueueView) -> str:
    """Return a text about the consumers of `queue` where some workers
    did not answer."""
    answered, unanswered = queue.answered or 0, queue.unanswered or 0
    if not answered:
        return f"none of {unanswered} living workers said what it consumes"
    return f"none of the {answered} that answered; {unanswered} did not answer"
