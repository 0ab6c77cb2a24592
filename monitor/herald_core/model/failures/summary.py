"""Causes of failures in a window, as servers answer and clients read them."""

from __future__ import annotations

import msgspec


class FailureSummary(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A cause of failures; its `id` is the fingerprint.

    `count` and `retried` are attempts in the window. `names` counts both by task name.
    `first_seen` and `last_seen` are of all times for which Herald keeps the cause, a
    week after its last failure. `new_since_deploy` is present if there is a mark of a
    deploy: whether the cause was first seen after the newest one. `versions` are the
    releases of the workers, as far as known.
    """

    id: str
    fingerprint: str
    exception: str
    frame: str | None = None
    message_example: str | None = None
    count: int = 0
    retried: int = 0
    first_seen: str | None = None
    last_seen: str | None = None
    new_since_deploy: bool | None = None
    names: dict[str, int] = {}
    workers: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    task_example: str | None = None
    series: tuple[int, ...] = ()


class FailureList(msgspec.Struct, frozen=True, kw_only=True):
    """The causes of a window or of another range, the most frequent first.

    `total` is the number of causes, `count` and `retried` are attempts of all of them
    and of the `other` ones, which are not counted separately.
    """

    window: str | None
    since: str
    until: str
    bin_seconds: int
    count: int
    retried: int
    other: int
    total: int
    deployed_at: str | None
    failures: tuple[FailureSummary, ...]


class FailureDetail(FailureSummary, frozen=True, omit_defaults=True, kw_only=True):
    """A cause with its spread. `tasks` is how many tasks are failed by it now.

    `worker_counts` are those of the newest `sampled` of them.
    """

    window: str | None
    since: str
    until: str
    bin_seconds: int
    tasks: int
    worker_counts: dict[str, int] = {}
    sampled: int = 0
