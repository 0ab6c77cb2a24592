"""What a failed task adds to the document of its cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from herald_core.model.changes import Change
from herald_core.model.documents import DocumentData, DocumentUpdate
from herald_core.model.failures.cause import (
    FailureCause,
    describe_cause,
    make_fingerprint,
)
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.insight.failures.summaries import CauseCounts

MAX_LISTED = 20
"""Names, workers and versions that a document lists, the latest ones."""


class CauseEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a cause: times in RFC 3339, the latest task and its values."""

    cause: FailureCause
    first_seen: str
    last_seen: str
    task_id: str
    names: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()


def find_cause(change: Change) -> str | None:
    """Return the fingerprint of the attempt that `change` tells to have failed.

    None for other changes, and for a failure that was known before.
    """
    task, before = change.task, change.before
    if task is None or change.is_deletion:
        return None
    is_same = before is not None and before.attempt is None
    if task.failure is not None:
        is_known = is_same and before is not None and before.failure == task.failure
        return None if is_known else task.failure
    if task.state != views.RETRY or task.exception is None:
        return None
    if is_same and before is not None and before.state == views.RETRY:
        return None
    return make_fingerprint(task.exception, task.traceback)


def make_evidence(task: TaskView) -> CauseEvidence:
    """Return the evidence of a task that failed or is retried."""
    at = task.finished_at or task.updated_at or views.to_rfc3339(0.0)
    return CauseEvidence(
        cause=describe_cause(task.exception, task.traceback),
        first_seen=at,
        last_seen=at,
        task_id=task.id,
        names=(task.name,) if task.name else (),
        workers=(task.worker,) if task.worker else (),
    )


def merge_evidence(a: CauseEvidence | None, b: CauseEvidence) -> CauseEvidence:
    """Return both; `b` is the later one."""
    if a is None:
        return b
    return CauseEvidence(
        cause=b.cause,
        first_seen=min(a.first_seen, b.first_seen),
        last_seen=max(a.last_seen, b.last_seen),
        task_id=b.task_id,
        names=tuple(_merge_lists(b.names, a.names)),
        workers=tuple(_merge_lists(b.workers, a.workers)),
    )


def make_update(
    evidence: CauseEvidence,
    hour: CauseCounts | None,
    day: CauseCounts | None,
    releases: Mapping[str, str] = {},
) -> DocumentUpdate:
    """Return the update of a document by what was seen, and its counts.

    `releases` has those of workers, by hostname, as far as known.
    """
    versions = [releases[one] for one in evidence.workers if one in releases]

    def update(was: Mapping[str, Any] | None) -> DocumentData:
        known = was or {}
        return {
            **_describe(evidence.cause),
            "first_seen": min(
                known.get("first_seen", evidence.first_seen), evidence.first_seen
            ),
            "last_seen": max(known.get("last_seen", ""), evidence.last_seen),
            "names": _merge_lists(evidence.names, known.get("names", ())),
            "workers": _merge_lists(evidence.workers, known.get("workers", ())),
            "versions": _merge_lists(versions, known.get("versions", ())),
            "task_example": evidence.task_id,
            **make_counts(hour, day),
        }

    return update


def make_counts_update(
    hour: CauseCounts | None, day: CauseCounts | None
) -> DocumentUpdate:
    """Return the update of the counts alone; none of a cause without any."""

    def update(was: Mapping[str, Any] | None) -> DocumentData | None:
        counts = make_counts(hour, day)
        if was is None or not any((*counts.values(), was.get("count_24h"))):
            return None
        return {**was, **counts}

    return update


def make_counts(hour: CauseCounts | None, day: CauseCounts | None) -> DocumentData:
    """Return the counts of a document."""
    return {
        "count_1h": hour.failed if hour else 0,
        "retried_1h": hour.retried if hour else 0,
        "count_24h": day.failed if day else 0,
        "retried_24h": day.retried if day else 0,
    }


def _describe(cause: FailureCause) -> DocumentData:
    told: DocumentData = {"exception": cause.exception}
    if cause.frame is not None:
        told["frame"] = cause.frame
    if cause.message is not None:
        told["message_example"] = cause.message
    return told


def _merge_lists(new: Iterable[str], old: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*new, *old]))[:MAX_LISTED]
