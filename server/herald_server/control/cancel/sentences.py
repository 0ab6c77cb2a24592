"""Messages about the progress of a group and about cancelling it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from herald_core.model.tasks import views
from herald_server.control.cancel.group import MAX_CANCELLED
from herald_server.insight.groups.reader import GroupSummary

UNKNOWN_SIZE = (
    "its size is not known: Celery's own events tell no group, so without the outbox "
    "members that have not ended may be missing"
)


def describe_group(found: GroupSummary) -> str:
    """Return a message about the progress of a group."""
    bad = found.over - found.counts.get(views.SUCCESS, 0)
    total = f"{found.total:,}" if found.whole else f"at least {found.total:,}"
    message = f"{found.over:,} of {total} have ended, {bad:,} of them without success."
    if found.never:
        message += (
            f" {found.never:,} will never run, for a step before them did not succeed."
        )
    if found.whole and found.heard < found.total:
        message += f" Of {found.total - found.heard:,} nothing is known yet."
    if not found.whole:
        message += f" The group is not done as far as Herald knows; {UNKNOWN_SIZE}."
    return message


def describe_cancel(outcomes: Mapping[str, int], found: GroupSummary | None) -> str:
    """Return a message about the cancelled members of a group."""
    counts = ", ".join(
        f"{n:,} {what.replace('_', ' ')}" for what, n in outcomes.items()
    )
    message = f"Of {sum(outcomes.values()):,} tasks: {counts}."
    if sum(outcomes.values()) >= MAX_CANCELLED:
        message += (
            f" One order cancels at most {MAX_CANCELLED:,}; repeat it for the rest."
        )
    if found is None or not found.whole:
        return (
            f"{message} Only members that Herald knows were cancelled; {UNKNOWN_SIZE}."
        )
    if found.heard < found.total:
        missing = found.total - found.heard
        return f"{message} {missing:,} more members are not known yet, and were not."
    return message
