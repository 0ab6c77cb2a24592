"""Groups and chains: Celery's own, whose members are registered in the store first.

Celery's events do not contain the group, so every member is registered with `group_id`
before the first is sent. A chain is stored as a group in which each member has the
previous one as its parent.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec
from celery import chain

from herald_core.errors import InvalidInput
from herald_server.control.start.decision import MEMBER, StartRequest
from herald_server.control.start.publisher import TaskPublisher, TaskSpec
from herald_server.control.start.send_log import SendLog
from herald_server.control.start.send_options import SendOptions
from herald_server.insight.groups.members import MAX_MEMBERS

MemberSpec: TypeAlias = tuple[str, Mapping[str, object]]
"""A task to be: its type and its parameters."""


def check_size(items: Sequence[MemberSpec]) -> Sequence[MemberSpec]:
    """Return `items` if their number is allowed. Raises `InvalidInput`."""
    if not 1 <= len(items) <= MAX_MEMBERS:
        raise InvalidInput(f"tasks must be a list of 1 to {MAX_MEMBERS} tasks", "tasks")
    return items


def make_group_requests(
    group_id: str, items: Sequence[MemberSpec], options: SendOptions
) -> list[StartRequest]:
    """Return the start requests of a group."""
    return [
        StartRequest(
            task_type=task_type,
            params=params,
            options=options,
            way=MEMBER,
            task_id=str(uuid.uuid4()),
            group_id=group_id,
        )
        for task_type, params in items
    ]


def make_chain_requests(
    group_id: str,
    items: Sequence[MemberSpec],
    options: SendOptions,
    *,
    pass_results: bool,
) -> list[StartRequest]:
    """Return the start requests of a chain, in order. The ETA applies to the first."""
    requests: list[StartRequest] = []
    for task_type, params in items:
        previous = requests[-1] if requests else None
        chosen = msgspec.structs.replace(options, eta=None) if previous else options
        task_id = str(uuid.uuid4())
        requests.append(
            StartRequest(
                task_type=task_type,
                params=params,
                options=chosen,
                way=MEMBER,
                task_id=task_id,
                root_id=requests[0].task_id if requests else task_id,
                parent_id=previous.task_id if previous else None,
                group_id=group_id,
                takes_result=pass_results and previous is not None,
            )
        )
    return requests


async def send_group(
    sender: TaskPublisher, group_id: str, orders: Sequence[TaskSpec]
) -> None:
    """Register and publish a group, one task after another. Raises as
    `TaskPublisher.deliver`."""
    links = [sender.make_signature(order, immutable=True) for order in orders]

    def send(log: SendLog) -> None:
        # As `group.apply_async` does, which does not report how many it sent.
        with cast(Any, sender.app).producer_or_acquire() as producer:
            for number, (link, order) in enumerate(zip(links, orders, strict=True)):
                log.begin(order.task_id)
                link.apply_async(
                    producer=producer,
                    retry=False,
                    add_to_parent=False,
                    group_id=group_id,
                    group_index=number,
                )
                log.finish(order.task_id)

    await sender.deliver(orders, send)


async def send_chain(
    sender: TaskPublisher, orders: Sequence[TaskSpec], *, pass_results: bool
) -> None:
    """Register and publish a chain: the message of its first task contains the others.

    Raises as `TaskPublisher.deliver`.
    """
    links = [
        sender.make_signature(order, immutable=not (pass_results and number))
        for number, order in enumerate(orders)
    ]

    def send(log: SendLog) -> None:
        log.begin(orders[0].task_id)
        if len(links) == 1:
            links[0].apply_async(retry=False)
        else:
            cast(Any, chain)(*links, app=sender.app).apply_async(retry=False)
        for order in orders:
            log.finish(order.task_id)

    await sender.deliver(orders, send)
