"""A queue of the broker as it was measured. Pure.

What could not be measured is absent: unknown is never 0, and never "nobody".
"""

from __future__ import annotations

import msgspec

from herald_monitor.model.shape import unix

NAMED = "queues"
"""The kind of notes in which servers name queues, each as a JSON list of texts."""

AGAIN_AFTER = 60.0
"""Seconds after which a queue that is as it was is stored once more."""

DOUBT_AFTER = 10.0
"""Seconds for which a message must wait before it counts that workers which say
nothing may not take it: a living worker answers, or takes it, within that."""


class QueueImage(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A queue as it was at `as_of`. `id` is its name.

    `depth` counts the messages that wait, `unacked` those that were given out and
    are not confirmed. `oldest_at` is since when the oldest waits (`at_least`: it
    was first seen then, and may be older). `consumers` are the workers that take
    from it: empty means nobody does, absent that it is not known of everybody.
    While some living workers do not say what they consume, `answered` and `unanswered`
    are how many did and did not: others than `consumers` may take from it too.
    `silent_consumers` took from it when they were heard, and may do so in silence.
    `consumer_count` is the broker's own number. Rates are tasks a minute;
    `drain_seconds` is how long until it is empty if they stay as they are.
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
    as_of: str
    rev: str | None = None

    @property
    def stranded(self) -> bool:
        """Whether messages wait there that certainly nobody takes."""
        return bool(self.depth) and self.consumers == ()

    @property
    def may_be_stranded(self) -> bool:
        """Whether messages wait there that nobody takes who said what they consume.

        A message that came just now, or of which no age is known, gives no doubt.
        """
        unknown = self.consumers is None and not self.consumer_count
        doubt = self.unanswered or self.silent_consumers
        return bool(self.depth and unknown and doubt) and self._waits_long

    @property
    def _waits_long(self) -> bool:
        since = self.oldest_at
        return since is not None and unix(self.as_of) - unix(since) >= DOUBT_AFTER


def is_news(was: QueueImage, now: QueueImage) -> bool:
    """Say whether `now` is worth being told, or at least being stored again."""
    return told(was) != told(now) or unix(now.as_of) - unix(was.as_of) >= AGAIN_AFTER


def told(queue: QueueImage) -> tuple[object, ...]:
    """Return what of `queue` is news; rates differ a little each minute."""
    return (
        queue.depth,
        queue.unacked,
        queue.oldest_at,
        queue.consumers,
        queue.silent_consumers,
        queue.consumer_count,
        queue.answered,
        queue.unanswered,
        queue.may_be_stranded,
    )


def drain_seconds(
    depth: int | None, in_per_minute: float | None, out_per_minute: float | None
) -> float | None:
    """Return the seconds until a queue is empty; None if it does not get shorter."""
    if depth == 0:
        return 0.0
    if depth is None or in_per_minute is None or out_per_minute is None:
        return None
    shorter = out_per_minute - in_per_minute
    return round(depth / shorter * 60, 1) if shorter > 0 else None
