"""The merge of several events of one task in one step.

Under load most events of a task arrive together. A merge one by one would create a task
for each. A test holds both equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.events.event import Event
from herald_core.model.tasks.attributes import Attribute, merge_attributes
from herald_core.model.tasks.task import Task, merge, to_mark


def merge_batch(task: Task | None, events: Sequence[Event]) -> Task:
    """Return the task after `events`: the result of `merge` one after the other.

    The same object if they add nothing. `events` are of one task, and not empty.
    """
    if len(events) > 1:
        found = _merge_simple(task, events)
        if found is not None:
            return found
    for event in events:
        task = merge(task, event)
    assert task is not None, "there is an event"
    return task


def _merge_simple(task: Task | None, events: Sequence[Event]) -> Task | None:
    """Return the same for plain events of workers and clients; None for others."""
    if task is not None and task.past is not None:
        return None
    # The marks by their place in the order.
    marks = (
        {}
        if task is None
        else {(mark.host, mark.pid, mark.clock): mark for mark in task.marks}
    )
    before = 0 if task is None else len(task.marks)
    facts: dict[str, Attribute] = {} if task is None else task.attributes
    for event in events:
        kind = event.kind
        if event.source != "event" or kind == "progress":
            return None
        marks[event.host, event.pid, event.clock] = to_mark(event)
        if kind == "sent" or kind == "received":
            if task is not None and facts is task.attributes:
                facts = facts.copy()
            merge_attributes(facts, event)
    # With distinct places there is no duplicate, and places alone decide the order.
    if len(marks) < before + len(events):
        return None
    ordered = tuple(map(marks.__getitem__, sorted(marks)))
    if task is None:
        return Task(events[0].task_id, ordered, (), facts)
    return Task(task.id, ordered, task.reports, facts, task.progress)
