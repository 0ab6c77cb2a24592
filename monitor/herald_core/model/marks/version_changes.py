"""Marks for changed versions of workers: one for a roll-out to many of them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from herald_core.model.marks.mark import RELEASE, Mark
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339

ROLLOUT_PAUSE_S = 1_800.0
"""Seconds without another worker after which a roll-out is over."""


class RunningVersion(msgspec.Struct, frozen=True):
    """The version that a living worker runs, and its start (RFC 3339) if known."""

    hostname: str
    version: str
    started_at: str | None = None


class KnownVersions(msgspec.Struct, frozen=True):
    """What is known of the versions of workers.

    `by_host`: the last version of each worker. `current`: the versions that ran at the
    last look at which any worker lived.
    """

    by_host: dict[str, str] = {}
    current: tuple[str, ...] = ()


class VersionChange(msgspec.Struct, frozen=True):
    """A worker that runs another version `since` a time (unix seconds).

    `before` is None if it is not known which one it replaced. `joins`: others ran the
    version already, so this belongs to a roll-out or is no change.
    """

    version: str
    before: str | None
    since: float
    joins: bool = False


def find_changes(
    known: KnownVersions, running: Iterable[RunningVersion], now: float
) -> list[VersionChange]:
    """Return the changes of `running` workers since what is `known`, oldest first.

    A worker changed when it started, or else `now` (unix seconds). The first version
    that is ever seen is no change, and neither is a worker that reports none.
    """
    found: list[VersionChange] = []
    if not known.current:
        return found
    for one in running:
        before = known.by_host.get(one.hostname)
        only = known.current[0] if len(known.current) == 1 else None
        if one.version == before or (before is None and one.version == only):
            continue
        joins = before is None and one.version in known.current
        before = before or only
        since = from_rfc3339(one.started_at) if one.started_at else now
        found.append(VersionChange(one.version, before, min(since, now), joins))
    return sorted(found, key=lambda change: (change.since, change.version))


def update_known(
    known: KnownVersions, running: Sequence[RunningVersion], hostnames: Iterable[str]
) -> KnownVersions:
    """Return what is known after a check. `hostnames` are all stored workers."""
    stored = set(hostnames)
    kept = {host: v for host, v in known.by_host.items() if host in stored}
    kept |= {one.hostname: one.version for one in running}
    versions = tuple(sorted({one.version for one in running}))
    return KnownVersions(kept, versions or known.current)


def fold_changes(
    marks: Iterable[Mark], changes: Iterable[VersionChange], kind: str
) -> list[Mark]:
    """Return the new and the changed marks of `kind` for `changes`.

    A change extends the mark of its roll-out. `marks` are the stored ones.
    """
    open_marks = {mark.id: mark for mark in marks if mark.kind == kind}
    changed: dict[str, Mark] = {}
    for change in changes:
        mark = _find_rollout(open_marks.values(), change)
        if mark is None and change.joins:
            continue
        extended = _extend(mark, change) if mark else _make_mark(change, kind)
        open_marks[extended.id] = changed[extended.id] = extended
    return list(changed.values())


def _find_rollout(marks: Iterable[Mark], change: VersionChange) -> Mark | None:
    """Return the newest mark of the same change that still goes on.

    A later change back to what ran before ends it.
    """
    for mark in sorted(marks, key=lambda one: one.end, reverse=True):
        if change.since - from_rfc3339(mark.end) > ROLLOUT_PAUSE_S:
            return None
        is_same_origin = change.before == mark.before
        if mark.version == change.version and (
            is_same_origin or change.before is None or mark.before is None
        ):
            return mark
        if mark.before == change.version:
            return None
    return None


def _extend(mark: Mark, change: VersionChange) -> Mark:
    workers = (mark.workers or 0) + 1
    return msgspec.structs.replace(
        mark,
        workers=workers,
        until=max(mark.end, to_rfc3339(change.since)),
        what=_describe(mark.kind, mark.version or "", mark.before, workers),
    )


def _make_mark(change: VersionChange, kind: str) -> Mark:
    at = to_rfc3339(change.since)
    # Two monitors that see the same change make the same mark.
    key = "\0".join((kind, change.version, change.before or "", at))
    return Mark(
        id=hashlib.sha256(key.encode()).hexdigest()[:16],
        at=at,
        kind=kind,
        what=_describe(kind, change.version, change.before, 1),
        version=change.version,
        before=change.before,
        workers=1,
    )


def _describe(kind: str, version: str, before: str | None, workers: int) -> str:
    """Return the sentence of a mark: `release 4f1c → 5a2b on 3 workers`."""
    arrow = f"{before} → {version}" if before else version
    if kind != RELEASE and before:
        (name, old), (other, new) = _split(before), _split(version)
        arrow = f"{name} {old} → {new}" if name == other else arrow
    label = "release " if kind == RELEASE else ""
    plural = "s" if workers > 1 else ""
    return f"{label}{arrow} on {workers} worker{plural}"


def _split(software: str) -> tuple[str, str]:
    """Return name and version: `celery` and `5.7.0` of `py-celery 5.7.0`."""
    name, _, version = software.rpartition(" ")
    return name.removeprefix("py-"), version
