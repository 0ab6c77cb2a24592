"""The preview of a bulk order: how many tasks, which, and what would become of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from herald_core.errors import InvalidInput
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.control.bulk.order import (
    ALREADY_ENDED,
    CANCEL,
    NOT_ENDED,
    NOT_RESENDABLE,
    RAN_AGAIN,
    UNKNOWN,
    Outcome,
)
from herald_server.control.start.stored_arguments import recover_arguments

MAX_EXAMPLES: Final = 10
MAX_NAMES: Final = 100
MAX_REASONS: Final = 20
MAX_SAMPLES: Final = 50

MISSING_STATES: Final = (views.UNKNOWN, views.EXPIRED)
NOTHING_KNOWN: Final = "nothing is known of this task (any more)"


def evaluate_retry(
    task: TaskView, reruns: Sequence[str], include_rerun: bool
) -> Outcome | None:
    """Return why `task` would not be sent again; None if nothing speaks against it.

    `reruns` are the ids of its reruns. Permissions are not checked. Pure.
    """
    if task.state in MISSING_STATES:
        return Outcome(UNKNOWN, NOTHING_KNOWN)
    if not task.final and task.state != views.LOST:
        return Outcome(
            NOT_ENDED, f"this task is still {task.state.lower()}; cancel it first"
        )
    if task.name is None:
        return Outcome(NOT_RESENDABLE, "no event contained the name of this task")
    if reruns and not include_rerun:
        return Outcome(RAN_AGAIN, f"it ran again already, as {reruns[0]}", reruns[0])
    try:
        recover_arguments(task)
    except InvalidInput as error:
        return Outcome(NOT_RESENDABLE, str(error))
    return None


def evaluate_cancel(task: TaskView) -> Outcome | None:
    """Return why `task` would not be cancelled; None if nothing speaks against it."""
    if task.state in MISSING_STATES:
        return Outcome(UNKNOWN, NOTHING_KNOWN)
    if task.final:
        return Outcome(ALREADY_ENDED, f"it has ended as {task.state.lower()}")
    return None


class PreviewBuilder:
    """Counts the selected tasks, a page at a time. Its memory does not grow with them,
    except for their ids."""

    def __init__(self, action: str) -> None:
        self.ids: list[str] = []
        self._action = action
        self._names: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._acted_on: Counter[str] = Counter()
        self.samples: dict[str, TaskView] = {}
        """A task of each name that is acted on, of the first `MAX_SAMPLES` names."""
        self._ran_again = 0
        self._examples: list[dict[str, Any]] = []

    def add(self, task: TaskView, outcome: Outcome | None, ran_again: bool) -> None:
        """Count `task`, of which `outcome` is foreseen; None: it is acted on."""
        self.ids.append(task.id)
        self._names[task.name or "?"] += 1
        self._states[task.state] += 1
        self._ran_again += ran_again
        if outcome is not None:
            self._skipped[outcome.kind] += 1
            if outcome.kind != RAN_AGAIN and len(self._reasons) < MAX_REASONS:
                self._reasons[outcome.kind, outcome.reason] += 1
        else:
            self._acted_on[task.name or "?"] += 1
            if task.name and len(self.samples) < MAX_SAMPLES:
                self.samples.setdefault(task.name, task)
        if len(self._examples) < MAX_EXAMPLES:
            self._examples.append(_make_example(task, outcome))

    def refuse_name(self, name: str, outcome: Outcome) -> None:
        """Count all tasks of `name` that are acted on as `outcome` instead."""
        number = self._acted_on.pop(name, 0)
        self._skipped[outcome.kind] += number
        self._reasons[outcome.kind, outcome.reason] += number

    def build(self, selection: Mapping[str, Any]) -> dict[str, Any]:
        """Return the preview as clients get it."""
        count = len(self.ids)
        acts_on = count - sum(self._skipped.values())
        names = self._names.most_common(MAX_NAMES)
        more = {} if self._action == CANCEL else {"ran_again": self._ran_again}
        return {
            "preview": True,
            "action": self._action,
            "count": count,
            "acts_on": acts_on,
            "by_name": dict(names),
            "more_names": len(self._names) - len(names),
            "by_state": dict(sorted(self._states.items())),
            "skipped": dict(sorted(self._skipped.items())),
            "reasons": [
                {"outcome": kind, "reason": reason, "count": number}
                for (kind, reason), number in self._reasons.most_common()
            ],
            **more,
            "not_resendable": self._skipped[NOT_RESENDABLE],
            "examples": self._examples,
            "selection": selection,
        }


def _make_example(task: TaskView, outcome: Outcome | None) -> dict[str, Any]:
    found = {
        "id": task.id,
        "name": task.name,
        "state": task.state,
        "args": task.args,
        "kwargs": task.kwargs,
        "exception": task.exception,
        "outcome": outcome.kind if outcome else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def describe_preview(preview: Mapping[str, Any]) -> str:
    """Return a preview as a sentence that says how to confirm it."""
    count, acts_on = preview["count"], preview["acts_on"]
    if not count:
        return "No task matches; there is nothing to do."
    verb = (
        "would be cancelled" if preview["action"] == CANCEL else "would be sent again"
    )
    skipped = ", ".join(
        f"{number:,} {kind.replace('_', ' ')}"
        for kind, number in preview["skipped"].items()
    )
    but = f"; not: {skipped}" if skipped else ""
    return (
        f"{count:,} tasks are selected, {acts_on:,} would be {verb}{but}. Confirm "
        f"with the same selection and expect={count}."
    )
