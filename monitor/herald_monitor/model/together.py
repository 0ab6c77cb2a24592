"""Several words of one task, merged in one step.

Under load most of what is said of a task arrives together. Merging it one by one
would make a task for each word; that `merge_all` comes to the same is a test.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_monitor.model.events import Event
from herald_monitor.model.facts import Fact, add_facts
from herald_monitor.model.tasks import Task, mark_of, merge


def merge_all(task: Task | None, events: Sequence[Event]) -> Task:
    """Return what is known once `events` are: `merge` of one after the other.

    The same object if they tell nothing new. `events` are of one task, and not none.
    """
    if len(events) > 1:
        found = _merged(task, events)
        if found is not None:
            return found
    for event in events:
        task = merge(task, event)
    assert task is not None, "there is an event"
    return task


def _merged(task: Task | None, events: Sequence[Event]) -> Task | None:
    """Return the same for plain words of workers and clients; None for others."""
    if task is not None and task.past is not None:
        return None
    # By where each stands among the others.
    marks = (
        {}
        if task is None
        else {(mark.host, mark.pid, mark.clock): mark for mark in task.marks}
    )
    before = 0 if task is None else len(task.marks)
    facts: dict[str, Fact] = {} if task is None else task.facts
    for event in events:
        kind = event.kind
        if event.source != "event" or kind == "progress":
            return None
        marks[event.host, event.pid, event.clock] = mark_of(event)
        if kind == "sent" or kind == "received":
            if task is not None and facts is task.facts:
                facts = facts.copy()
            add_facts(facts, event)
    # With all places different none is heard twice, and they alone decide the order.
    if len(marks) < before + len(events):
        return None
    ordered = tuple(map(marks.__getitem__, sorted(marks)))
    if task is None:
        return Task(events[0].task_id, ordered, (), facts)
    return Task(task.id, ordered, task.reports, facts, task.step)
