"""The counts of one minute: events and runtimes.

Runtimes are counted in buckets, each `BUCKET_RATIO` times as wide as the one before. So
minutes can be summed, and a percentile of the sum is at most 9 % off.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import TypeVar

import msgspec

Key = TypeVar("Key")

EVENT_WORDS = (
    "submitted",
    "received",
    "started",
    "succeeded",
    "failed",
    "retried",
    "revoked",
    "rejected",
    "lost",
)
"""The counted events, each once an attempt. A cancelled attempt counts as `retried`,
since its message comes back; `lost` is subtracted if the task was not."""

MINUTE_S = 60
ROLLUP_RETENTION_S = 25 * 3_600
"""Seconds for which minutes are stored: a day, and the hour before."""

MAX_PARTS = 64
"""Names, and queues, that are counted apart in one minute."""

OTHER_PART = "(other)"
"""All names, or queues, of a minute beyond `MOST_PARTS`."""

MIN_RUNTIME_S = 0.001
"""Seconds up to which a runtime lies in bucket 0."""

BUCKET_RATIO = 2.0 ** (1 / 4)
LAST_BUCKET = 124
"""The last bucket: from 23 days on."""

MAX_RUNTIME_S = 1e9
"""Seconds above which a runtime lies in the last bucket, however large it is."""


class Rollup(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The counts of one minute. `at` is its start in unix seconds.

    `counts` without events are absent. `runtimes` counts succeeded attempts by bucket,
    see `to_bucket` and `compute_percentile`. `names` and `queues` hold the counts of
    each name and queue (`OTHER_PART`: of all others), and `runtimes_of` the runtimes of
    each name, if requested.
    """

    at: int
    counts: dict[str, int] = {}
    runtimes: dict[int, int] = {}
    names: dict[str, dict[str, int]] = {}
    queues: dict[str, dict[str, int]] = {}
    runtimes_of: dict[str, dict[int, int]] = {}


def to_bucket(seconds: float) -> int:
    """Return the bucket of a runtime."""
    if seconds <= MIN_RUNTIME_S:
        return 0
    if seconds >= MAX_RUNTIME_S:
        return LAST_BUCKET
    return min(1 + int(math.log(seconds / MIN_RUNTIME_S, BUCKET_RATIO)), LAST_BUCKET)


def get_bucket_midpoint(bucket: int) -> float:
    """Return the seconds that represent a bucket, its geometric middle."""
    return MIN_RUNTIME_S * BUCKET_RATIO ** (bucket - 0.5) if bucket else MIN_RUNTIME_S


def compute_percentile(runtimes: Mapping[int, int], part: float) -> float | None:
    """Return the runtime in seconds that `part` (0 to 1) of all do not exceed.

    At most 9 % off for runtimes from 1 ms on; None if there are none.
    """
    total = sum(runtimes.values())
    if total <= 0:
        return None
    left = max(math.ceil(total * part), 1)
    buckets = sorted(runtimes)
    reached = list(accumulate(runtimes[bucket] for bucket in buckets))
    return round(get_bucket_midpoint(buckets[bisect_left(reached, left)]), 6)


def merge_rollups(rollups: Iterable[Rollup]) -> Rollup:
    """Return the sum of several minutes, at the first of them (at 0 if none)."""
    at = 0
    counts: dict[str, int] = {}
    runtimes: dict[int, int] = {}
    names: dict[str, dict[str, int]] = {}
    queues: dict[str, dict[str, int]] = {}
    runtimes_of: dict[str, dict[int, int]] = {}
    for one in rollups:
        at = min(at or one.at, one.at)
        add_counts(counts, one.counts)
        add_counts(runtimes, one.runtimes)
        for parts, more in ((names, one.names), (queues, one.queues)):
            for part, words in more.items():
                add_counts(parts.setdefault(part, {}), words)
        for name, buckets in one.runtimes_of.items():
            add_counts(runtimes_of.setdefault(name, {}), buckets)
    return Rollup(
        at=at,
        counts=counts,
        runtimes=runtimes,
        names=names,
        queues=queues,
        runtimes_of=runtimes_of,
    )


def add_counts(sums: dict[Key, int], more: Mapping[Key, int]) -> None:
    """Add the numbers of `more` to `sums`, in place."""
    for key, number in more.items():
        sums[key] = sums.get(key, 0) + number
