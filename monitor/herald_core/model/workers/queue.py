"""A queue of the broker, as measured. Pure.

A value that could not be measured is absent: unknown is never 0, and never empty.
"""

from __future__ import annotations

import msgspec

from herald_core.model.tasks.views import from_rfc3339
from herald_core.model.workers.queue_pause import PauseMark

CATALOG_KIND = "queues"
"""The kind of notes in which servers name queues, each as a JSON list of texts."""

REFRESH_S = 60.0
"""Seconds after which a queue that is as it was is stored once more."""

UNCONSUMED_AFTER_S = 10.0
"""Minimum age in seconds of a message that proves that no silent worker takes it: a
running worker answers, or takes it, in less."""


class QueueView(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A queue as it was at `as_of`. `id` is its name.

    `depth` counts the waiting messages, `unacked` the delivered messages without
    acknowledgement. `oldest_at` is the time since which the oldest waits (`at_least`:
    it was first seen then, and may be older). `consumers` are the workers that consume
    the queue. Empty means none, absent means not completely known. While some online
    workers do not answer, `answered` and `unanswered` count both kinds, and there may
    be further consumers. `silent_consumers` consumed it in their last answer.
    `consumer_count` is the broker's own number. Rates are tasks a minute;
    `paused` says who cancelled its consumers, and since when.
    `estimate_drain_s` is the time until it is empty at these rates.
    """

    id: str
    name: str
    depth: int | None = None
    unacked: int | None = None
    oldest_at: str | None = None
    at_least: bool = False
    consumers: tuple[str, ...] | None = None
    silent_consumers: tuple[str, ...] = ()
    consumer_count: int | None = None
    answered: int | None = None
    unanswered: int | None = None
    in_per_minute: float | None = None
    out_per_minute: float | None = None
    drain_seconds: float | None = None
    paused: PauseMark | None = None
    as_of: str
    rev: str | None = None

    @property
    def is_unconsumed(self) -> bool:
        """True if messages wait there and the queue certainly has no consumer.

        A paused queue has none on purpose.
        """
        return bool(self.depth) and self.consumers == () and self.paused is None

    @property
    def may_be_unconsumed(self) -> bool:
        """True if messages wait there and no worker that answered consumes the queue.

        A message that has just arrived, or has no known age, does not count.
        """
        unknown = self.consumers is None and not self.consumer_count
        doubt = self.unanswered or self.silent_consumers
        waits = self.depth and self.paused is None
        return bool(waits and unknown and doubt) and self._has_old_message

    @property
    def _has_old_message(self) -> bool:
        since = self.oldest_at
        return (
            since is not None
            and from_rfc3339(self.as_of) - from_rfc3339(since) >= UNCONSUMED_AFTER_S
        )


def is_significant(was: QueueView, now: QueueView) -> bool:
    """Return True if `now` is worth publishing, or at least storing again."""
    return (
        to_comparable(was) != to_comparable(now)
        or from_rfc3339(now.as_of) - from_rfc3339(was.as_of) >= REFRESH_S
    )


def to_comparable(queue: QueueView) -> tuple[object, ...]:
    """Return the significant part of `queue`; rates vary a little each minute."""
    return (
        queue.depth,
        queue.unacked,
        queue.oldest_at,
        queue.consumers,
        queue.silent_consumers,
        queue.consumer_count,
        queue.answered,
        queue.unanswered,
        queue.may_be_unconsumed,
        queue.paused,
    )


def estimate_drain_s(
    depth: int | None, in_per_minute: float | None, out_per_minute: float | None
) -> float | None:
    """Return the seconds until a queue is empty; None if it does not get shorter."""
    if depth == 0:
        return 0.0
    if depth is None or in_per_minute is None or out_per_minute is None:
        return None
    shorter = out_per_minute - in_per_minute
    return round(depth / shorter * 60, 1) if shorter > 0 else None
