"""Groups and chains: real ones of Celery, whose members the store knows beforehand.

Celery's events tell no group, so every member is registered with `group_id`
before the first is sent. A chain is kept as a group whose members follow each
other: each has the one before as its parent.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from celery import chain, group

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_server.options import Options
from herald_server.sending import Order, Sender

MOST = 500
"""Members of a group or chain."""


class Member(msgspec.Struct, frozen=True):
    """A task to be: Celery's name and keyword arguments."""

    name: str
    kwargs: dict[str, object]
    queue: str | None = None


def group_orders(
    group_id: str, members: Sequence[Member], options: Options
) -> list[Order]:
    """Return the orders of a group."""
    return [
        Order(
            task_id=str(uuid.uuid4()),
            name=one.name,
            kwargs=one.kwargs,
            options=_of(one, options),
            group_id=group_id,
        )
        for one in members
    ]


def chain_orders(
    group_id: str, members: Sequence[Member], options: Options
) -> list[Order]:
    """Return the orders of a chain, first to last. Only the first waits for its ETA."""
    orders: list[Order] = []
    for one in members:
        before = orders[-1] if orders else None
        chosen = msgspec.structs.replace(options, eta=None) if before else options
        task_id = str(uuid.uuid4())
        orders.append(
            Order(
                task_id=task_id,
                name=one.name,
                kwargs=one.kwargs,
                options=_of(one, chosen),
                root_id=orders[0].task_id if orders else task_id,
                parent_id=before.task_id if before else None,
                group_id=group_id,
            )
        )
    return orders


def _of(member: Member, options: Options) -> Options:
    if options.queue or not member.queue:
        return options
    return msgspec.structs.replace(options, queue=member.queue)


async def send_group(sender: Sender, group_id: str, orders: Sequence[Order]) -> None:
    """Send a group. Raises `BrokerUnreachable`; some may have been sent then."""
    links = [sender.signature(order, immutable=True) for order in orders]

    def send() -> None:
        made = cast(Any, group)(*links, app=sender.app)
        made.apply_async(task_id=group_id, retry=False, add_to_parent=False)

    await sender.do(send)


async def send_chain(
    sender: Sender, orders: Sequence[Order], *, pass_results: bool
) -> None:
    """Send a chain: its first task carries the others along.

    Raises `BrokerUnreachable`.
    """
    links = [
        sender.signature(order, immutable=not (pass_results and number))
        for number, order in enumerate(orders)
    ]

    def send() -> None:
        if len(links) == 1:
            links[0].apply_async(retry=False)
        else:
            cast(Any, chain)(*links, app=sender.app).apply_async(retry=False)

    await sender.do(send)


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
