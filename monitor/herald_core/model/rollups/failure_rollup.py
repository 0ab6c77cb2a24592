"""The failures of one minute by cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

CauseAndName: TypeAlias = tuple[str, str]
"""The fingerprint of a cause (`OTHER_PART`: of all others), and the name of the task
("": not known)."""

FailedAndRetried: TypeAlias = tuple[int, int]
"""Attempts that failed for good, and those that are retried."""


class FailureRollup(msgspec.Struct, frozen=True):
    """The failed attempts of one minute. `at` is its start in unix seconds.

    At most `MAX_PARTS` pairs of a cause and a name are counted separately.
    """

    at: int
    counts: dict[CauseAndName, FailedAndRetried] = {}


def merge_failure_rollups(rollups: Iterable[FailureRollup]) -> FailureRollup:
    """Return the sum of several minutes, at the first of them (at 0 if none)."""
    at = 0
    counts: dict[CauseAndName, FailedAndRetried] = {}
    for one in rollups:
        at = min(at or one.at, one.at)
        for key, (failed, retried) in one.counts.items():
            was = counts.get(key, (0, 0))
            counts[key] = (was[0] + failed, was[1] + retried)
    return FailureRollup(at=at, counts=counts)
