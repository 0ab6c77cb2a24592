"""What may be missing of a gap for good, once everybody was asked. Pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from herald_core.model.gaps import BACKEND_REASON, CLOSED, UNREPAIRABLE, Gap

MAX_NAMES = 3
"""Names of tasks in one sentence."""

CELERY_PREFIX = "celery."
"""Of tasks of Celery's own, such as `celery.chord_unlock`, which keeps no result."""


class SourceLimits(msgspec.Struct, frozen=True):
    """What the result backend cannot tell of tasks that nothing was heard of.

    `can_ask` and `can_list`: it answers about an id, and lists all. `reason` is why a
    backend cannot be asked, `name` names one that can. `resultless` are the tasks whose
    results workers do not keep.
    """

    can_ask: bool
    can_list: bool
    name: str = ""
    reason: str = ""
    resultless: frozenset[str] = frozenset()


def end_gap(gap: Gap, limits: SourceLimits, closed_at: str, repaired: int) -> Gap:
    """Return `gap` as it ends: closed, or unrepairable with the reason."""
    doubt = "" if _is_complete_by_nature(gap) else describe_unrepaired(limits)
    return msgspec.structs.replace(
        gap,
        rev=None,
        state=UNREPAIRABLE if doubt else CLOSED,
        unrepaired=doubt,
        repaired=repaired,
        closed_at=closed_at,
    )


def describe_unrepaired(limits: SourceLimits) -> str:
    """Return which tasks of a gap nobody can tell of, and why; empty if there are none.

    A task that was known before, or that anything is heard of later, is none of them.
    """
    if not limits.can_ask:
        return (
            "Tasks that started and ended in this time may be missing:"
            f" {limits.reason}. They stay unknown."
        )
    if not limits.can_list:
        return (
            "Tasks that started and ended in this time may be missing: the result"
            f" backend ({limits.name}) cannot be searched. A question for the id of"
            " one of them finds its result."
        )
    names = sorted(n for n in limits.resultless if not n.startswith(CELERY_PREFIX))
    if names:
        return (
            f"Tasks {_join_names(names)} that started and ended in this time may be"
            " missing: they keep no result (ignore_result). They stay unknown."
        )
    return ""


def _is_complete_by_nature(gap: Gap) -> bool:
    """Return True if no event was lost in `gap`: only results, or events were late."""
    return gap.durable or gap.reason.startswith(BACKEND_REASON)


def _join_names(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:MAX_NAMES])
    more = len(names) - MAX_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
