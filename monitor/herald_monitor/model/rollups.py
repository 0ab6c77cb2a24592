"""What happened in one minute, as numbers: counts of words, and of runtimes.

Runtimes are counted in buckets, each `STEP` times as wide as the one before, so
that minutes add up and a percentile is read from their sum: at most 9 % off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

K = TypeVar("K")

WORDS = (
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
"""What is counted, each once an attempt. A cancelled attempt counts as `retried`,
since its message comes back; `lost` is taken back when the task was not."""

MINUTE = 60
MINUTES_FOR = 25 * 3_600
"""Seconds for which minutes are kept: a day, and the hour before."""

MOST_PARTS = 64
"""Names, and queues, that are counted apart in one minute."""

OTHER = "(other)"
"""All names, or queues, of a minute beyond `MOST_PARTS`."""

LEAST = 0.001
"""Seconds up to which a runtime lies in bucket 0."""

STEP = 2.0 ** (1 / 4)
LAST = 124
"""The last bucket: from 23 days on."""

MOST = 1e9
"""Seconds above which a runtime lies in the last bucket, however large it is."""


class Rollup(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One minute. `at` is its start in unix seconds; words without any are absent.

    `runtimes` counts succeeded runs by bucket, see `bucket_of` and `percentile`.
    `names` and `queues` hold the counts of each name and queue (`OTHER`: of all
    further ones), and `runtimes_of` the runtimes of each name, if asked for.
    """

    at: int
    counts: dict[str, int] = {}
    runtimes: dict[int, int] = {}
    names: dict[str, dict[str, int]] = {}
    queues: dict[str, dict[str, int]] = {}
    runtimes_of: dict[str, dict[int, int]] = {}


def bucket_of(seconds: float) -> int:
    """Return the bucket in which a runtime lies."""
    if seconds <= LEAST:
        return 0
    if seconds >= MOST:
        return LAST
    return min(1 + int(math.log(seconds / LEAST, STEP)), LAST)


def middle_of(bucket: int) -> float:
    """Return the seconds that stand for a bucket, its geometric middle."""
    return LEAST * STEP ** (bucket - 0.5) if bucket else LEAST


def percentile(runtimes: Mapping[int, int], part: float) -> float | None:
    """Return the runtime in seconds that `part` (0 to 1) of all do not exceed.

    At most 9 % off for runtimes from 1 ms on; None if there are none.
    """
    total = sum(runtimes.values())
    if total <= 0:
        return None
    left = max(math.ceil(total * part), 1)
    for bucket in sorted(runtimes):
        left -= runtimes[bucket]
        if left <= 0:
            return round(middle_of(bucket), 6)
    return None


def summed(rollups: Iterable[Rollup]) -> Rollup:
    """Return the sum of several minutes, at the first of them (at 0 if none)."""
    at = 0
    counts: dict[str, int] = {}
    runtimes: dict[int, int] = {}
    names: dict[str, dict[str, int]] = {}
    queues: dict[str, dict[str, int]] = {}
    runtimes_of: dict[str, dict[int, int]] = {}
    for one in rollups:
        at = min(at or one.at, one.at)
        add(counts, one.counts)
        add(runtimes, one.runtimes)
        for parts, more in ((names, one.names), (queues, one.queues)):
            for part, words in more.items():
                add(parts.setdefault(part, {}), words)
        for name, buckets in one.runtimes_of.items():
            add(runtimes_of.setdefault(name, {}), buckets)
    return Rollup(
        at=at,
        counts=counts,
        runtimes=runtimes,
        names=names,
        queues=queues,
        runtimes_of=runtimes_of,
    )


def add(sums: dict[K, int], more: Mapping[K, int]) -> None:
    """Add the numbers of `more` to `sums`, in place."""
    for key, number in more.items():
        sums[key] = sums.get(key, 0) + number
