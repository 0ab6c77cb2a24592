"""Groups and chains: real ones of Celery, whose members the store knows beforehand.

Celery's events tell no group, so every member is registered with `group_id`
before the first is sent. A chain is kept as a group whose members follow each
other: each has the one before as its parent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec
from celery import chain

from herald_monitor.errors import BadInput
from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_server.decision import MEMBER, Wish
from herald_server.options import Options
from herald_server.sending import Order, Sender

MOST = 500
"""Members of a group or chain."""


Item: TypeAlias = tuple[str, Mapping[str, object]]
"""A task to be: its type and its parameters."""


def bounded(items: Sequence[Item]) -> Sequence[Item]:
    """Return `items` if a group or chain may have so many. Raises `BadInput`."""
    if not 1 <= len(items) <= MOST:
        raise BadInput(f"tasks must be a list of 1 to {MOST} tasks", "tasks")
    return items


def group_wishes(group_id: str, items: Sequence[Item], options: Options) -> list[Wish]:
    """Return what a group asks for."""
    return [
        Wish(
            task_type=task_type,
            params=params,
            options=options,
            way=MEMBER,
            task_id=str(uuid.uuid4()),
            group_id=group_id,
        )
        for task_type, params in items
    ]


def chain_wishes(
    group_id: str,
    items: Sequence[Item],
    options: Options,
    *,
    pass_results: bool,
) -> list[Wish]:
    """Return what a chain asks for, first to last. Only the first waits for its ETA."""
    wishes: list[Wish] = []
    for task_type, params in items:
        before = wishes[-1] if wishes else None
        chosen = msgspec.structs.replace(options, eta=None) if before else options
        task_id = str(uuid.uuid4())
        wishes.append(
            Wish(
                task_type=task_type,
                params=params,
                options=chosen,
                way=MEMBER,
                task_id=task_id,
                root_id=wishes[0].task_id if wishes else task_id,
                parent_id=before.task_id if before else None,
                group_id=group_id,
                takes_result=pass_results and before is not None,
            )
        )
    return wishes


async def send_group(sender: Sender, group_id: str, orders: Sequence[Order]) -> None:
    """Register and send a group, one by one. Raises as `Sender.deliver`."""
    links = [sender.signature(order, immutable=True) for order in orders]

    def send(note: Callable[[str], None]) -> None:
        # As `group.apply_async` does, which does not tell how far it came.
        with cast(Any, sender.app).producer_or_acquire() as producer:
            for number, (link, order) in enumerate(zip(links, orders, strict=True)):
                link.apply_async(
                    producer=producer,
                    retry=False,
                    add_to_parent=False,
                    group_id=group_id,
                    group_index=number,
                )
                note(order.task_id)

    await sender.deliver(orders, send)


async def send_chain(
    sender: Sender, orders: Sequence[Order], *, pass_results: bool
) -> None:
    """Register and send a chain: its first task carries the others along.

    Raises as `Sender.deliver`.
    """
    links = [
        sender.signature(order, immutable=not (pass_results and number))
        for number, order in enumerate(orders)
    ]

    def send(note: Callable[[str], None]) -> None:
        if len(links) == 1:
            links[0].apply_async(retry=False)
        else:
            cast(Any, chain)(*links, app=sender.app).apply_async(retry=False)
        for order in orders:
            note(order.task_id)

    await sender.deliver(orders, send)


def in_order(tasks: Sequence[TaskImage]) -> list[TaskImage]:
    """Return tasks by when they were sent, each behind its parent."""
    known = {task.id: task for task in tasks}
    depths: dict[str, int] = {}

    def depth(task: TaskImage) -> int:
        steps, at, seen = 0, task, {task.id}
        while at.parent_id in known and at.parent_id not in seen:
            if at.parent_id in depths:
                return steps + 1 + depths[at.parent_id]
            at = known[at.parent_id]
            seen.add(at.id)
            steps += 1
        return steps

    for task in tasks:
        depths[task.id] = depth(task)
    return sorted(tasks, key=lambda t: (depths[t.id], t.submitted_at or "", t.id))


def broken(task: TaskImage, members: dict[str, TaskImage]) -> TaskImage | None:
    """Return the task whose end keeps `task` from ever being run, if there is one."""
    at = task
    if at.state != shape.PENDING:
        return None
    for _ in range(len(members)):
        before = members.get(at.parent_id or "")
        if before is None:
            return None
        if before.final and before.state != shape.SUCCESS:
            return before
        at = before
    return None
