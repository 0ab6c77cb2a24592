"""What is known of a group, and what cancelling it came to, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from herald_monitor.model import shape
from herald_server.group_cancel import MOST_CANCELLED
from herald_server.group_reader import GroupSummary

UNSURE = (
    "its size is not known: Celery's events tell no group, so members that have not "
    "ended may be missing"
)


def group_sentence(found: GroupSummary) -> str:
    """Say how far a group is."""
    bad = found.over - found.counts.get(shape.SUCCESS, 0)
    total = f"{found.total:,}" if found.whole else f"at least {found.total:,}"
    said = f"{found.over:,} of {total} have ended, {bad:,} of them without success."
    if found.never:
        said += (
            f" {found.never:,} will never run, for a step before them did not succeed."
        )
    if found.whole and found.heard < found.total:
        said += f" Of {found.total - found.heard:,} nothing is known yet."
    if not found.whole:
        said += f" The group is not done as far as Herald knows; {UNSURE}."
    return said


def cancel_sentence(outcomes: Mapping[str, int], found: GroupSummary | None) -> str:
    """Say what cancelling a group came to."""
    told = ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in outcomes.items())
    said = f"Of {sum(outcomes.values()):,} tasks: {told}."
    if sum(outcomes.values()) >= MOST_CANCELLED:
        said += (
            f" One order cancels at most {MOST_CANCELLED:,}; repeat it for the rest."
        )
    if found is None or not found.whole:
        return f"{said} Only members that Herald knows were cancelled; {UNSURE}."
    if found.heard < found.total:
        missing = found.total - found.heard
        return f"{said} {missing:,} more members are not known yet, and were not."
    return said
