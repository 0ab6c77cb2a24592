"""May this be started? One answer for every way to start a task. Pure.

Start, retry, chain and group, over each door, resolve to `decide`: who asks, for
what, with which parameters, to which queue. The answer is the order as it is sent,
and the question that a person must agree to first, if there is one; what is refused
is raised with a sentence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, Literal, NamedTuple

import msgspec

from herald_monitor.errors import BadInput
from herald_server.auth import Identity, NotAllowed
from herald_server.catalog import (
    MAX_NAME,
    Catalog,
    CatalogError,
    TaskType,
    is_name,
)
from herald_server.options import Options
from herald_server.queue_names import refuse_queue
from herald_server.sending import Order, as_sent

MAX_QUESTION: Final = 4_000
"""Characters of a question: a person must see all that they agree to."""

UNLISTED_SCOPE: Final = "admin"
"""The scope for tasks that are in no catalog, and for arguments that it cannot check:
positional ones have no name there."""

START: Final = "start"
RETRY: Final = "retry"
MEMBER: Final = "member"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One task that somebody asks for.

    `task_type` is a type's name or a Celery name; for a retry the Celery name.
    `former_queue` is where the task that is repeated was. `takes_result`: a chain
    gives it the result of the task before as its first argument. `unknown` says why
    the arguments of a task that is repeated are not known.
    """

    task_type: str
    params: Mapping[str, object] = {}
    args: tuple[object, ...] = ()
    options: Options = Options()
    way: Literal["start", "retry", "member"] = START
    task_id: str = ""
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    former_queue: str | None = None
    takes_result: bool = False
    unknown: BadInput | None = None


class Decision(NamedTuple):
    """What may be sent, as which type, and what a person must agree to before."""

    order: Order
    kind: TaskType
    question: str = ""


def decide(
    who: Identity | None,
    wish: Wish,
    catalog: Catalog,
    known_queues: Collection[str],
    today: date,
) -> Decision:
    """Return what may be sent for `wish`; `who` is None for work of our own.

    `known_queues` are those that settings or workers name. Raises `CatalogError`,
    `BadInput` and `NotAllowed`, each with a sentence.
    """
    found = _candidates(wish, catalog)
    _refuse_unlisted(wish, found)
    # Whoever may start none of them learns nothing of their parameters.
    _demand(who, wish, min(found, key=lambda kind: kind.scope == UNLISTED_SCOPE))
    if wish.unknown is not None:
        raise wish.unknown
    if wish.way == MEMBER and all(kind.confirm for kind in found):
        raise _refuse_member(wish)
    kind, kwargs = _match(wish, found, today)
    _demand(who, wish, kind)
    options = msgspec.structs.replace(wish.options, queue=_queue(wish, kind))
    order = Order(
        task_id=wish.task_id,
        name=kind.celery_name,
        args=wish.args,
        kwargs=kwargs,
        options=options,
        root_id=wish.root_id,
        parent_id=wish.parent_id,
        group_id=wish.group_id,
    )
    refuse_queue(options.queue, known_queues, catalog.queues)
    if who is not None and not who.sees(as_sent(order)):
        raise NotAllowed(
            f"this token is narrowed to some tasks, and {order.name} as it was asked "
            "for is none of them"
        )
    if not kind.confirm:
        return Decision(order, kind)
    if wish.way == MEMBER:
        raise _refuse_member(wish)
    return Decision(order, kind, _question(wish, kind, order))


def fingerprint(who: str, decision: Decision, key: str | None) -> bytes:
    """Return what stands for exactly this order of exactly this caller."""
    order = decision.order
    options = order.options
    told = (
        *(who, key, order.name, order.args, order.kwargs, order.parent_id),
        *(options.queue, options.priority, options.when, options.tags),
    )
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()


def _candidates(wish: Wish, catalog: Catalog) -> Sequence[TaskType]:
    if wish.way != RETRY:
        return catalog.resolve(wish.task_type)
    name = wish.task_type
    unlisted = TaskType(name, name, scope=UNLISTED_SCOPE, any_params=True, title=name)
    return catalog.types_for(name) or (unlisted,)


def _refuse_unlisted(wish: Wish, found: Sequence[TaskType]) -> None:
    name = wish.task_type
    if not is_name(found[0].celery_name):
        raise CatalogError(
            f"the name of a task must be a text of 1 to {MAX_NAME} printable "
            "characters",
            name[:MAX_NAME],
        )
    if not all(kind.startable for kind in found):
        raise CatalogError(
            f"{name} is registered, but no herald.toml lets it be started: add "
            f"allow = [{name!r}], or a task type for it (`herald catalog` writes one)",
            name,
        )


def _match(
    wish: Wish, found: Sequence[TaskType], today: date
) -> tuple[TaskType, dict[str, object]]:
    """Return the type that the parameters fit, and the keyword arguments to send.

    Where they fit several types of one Celery name, the strictest decides.
    """
    if _unchecked(wish) and not all(kind.any_params for kind in found):
        strict = replace(_strictest(found), scope=UNLISTED_SCOPE)
        return strict, dict(wish.params)
    fitting: dict[str, tuple[TaskType, dict[str, object]]] = {}
    errors: list[CatalogError] = []
    for kind in found:
        try:
            fitting[kind.name] = kind, kind.check(wish.params, today)
        except CatalogError as error:
            errors.append(error)
    if not fitting:
        raise errors[0]
    strict = _strictest([kind for kind, _ in fitting.values()])
    return strict, fitting[strict.name][1]


def _unchecked(wish: Wish) -> bool:
    """Say whether it gets arguments that no check of the catalog sees."""
    return bool(wish.args) or wish.takes_result


def _strictest(found: Sequence[TaskType]) -> TaskType:
    first = max(found, key=lambda kind: (kind.scope == UNLISTED_SCOPE, kind.confirm))
    return replace(first, confirm=any(kind.confirm for kind in found))


def _demand(who: Identity | None, wish: Wish, kind: TaskType) -> None:
    if who is None:
        return
    what = f"retrying {wish.task_type}" if wish.way == RETRY else wish.task_type
    if not who.may(START):
        raise NotAllowed(f"{what} needs a token with the scope start")
    if who.may(kind.scope):
        return
    if _unchecked(wish):
        what += " with positional arguments, which the catalog cannot check,"
    raise NotAllowed(f"{what} needs a token with the scope {kind.scope}")


def _queue(wish: Wish, kind: TaskType) -> str | None:
    return wish.options.queue or wish.former_queue or kind.queue


def _refuse_member(wish: Wish) -> BadInput:
    return BadInput(
        f"{wish.task_type} asks a person to confirm; start it alone with "
        "start_background_task",
        "tasks",
    )


def _question(wish: Wish, kind: TaskType, order: Order) -> str:
    given = [repr(value) for value in order.args]
    given += [f"{key}={value!r}" for key, value in order.kwargs.items()]
    again = " again" if wish.way == RETRY else ""
    said = f"Start {kind.label}{again} ({', '.join(given)})? {kind.description}."
    options = order.options
    if options.queue and options.queue != kind.queue:
        said += f" Queue: {options.queue!r}."
    if options.when:
        said += f" When: {options.when}."
    if len(said) > MAX_QUESTION:
        raise BadInput(
            f"{wish.task_type} asks a person to confirm, and its parameters take more "
            f"than the {MAX_QUESTION} characters that a person is shown; shorten them",
            "params",
        )
    return said
