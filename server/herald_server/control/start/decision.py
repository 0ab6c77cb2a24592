"""Decide whether a task may be started. Pure.

Start, retry, chain and group, over every API, use `decide_start`: caller, task type,
parameters and queue. It returns the task as it is published, and the question that a
person must confirm first, if any; a refusal is raised with a message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, Literal, NamedTuple

import msgspec

from herald_core.errors import InvalidInput
from herald_server.auth.identity import Identity, MissingScope, PermissionDenied
from herald_server.catalog.catalog import (
    MAX_NAME_CHARS,
    Catalog,
    CatalogError,
    TaskType,
    is_valid_name,
)
from herald_server.control.queue_names import refuse_queue
from herald_server.control.start.publisher import TaskSpec, make_pending_view
from herald_server.control.start.send_options import SendOptions

MAX_QUESTION: Final = 4_000
"""Characters of a question: a person must see all that they agree to."""

UNLISTED_SCOPE: Final = "admin"
"""The scope for tasks that are in no catalog, and for arguments that it cannot check:
positional ones have no name there."""

START: Final = "start"
RETRY: Final = "retry"
MEMBER: Final = "member"


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to start one task.

    `task_type` is a type's name or a Celery name; for a retry the Celery name.
    `former_queue` is the queue of the retried task. `takes_result`: a chain passes the
    result of the previous task as its first argument. `unknown` is why the arguments of
    a retried task are not known.
    """

    task_type: str
    params: Mapping[str, object] = {}
    args: tuple[object, ...] = ()
    options: SendOptions = SendOptions()
    way: Literal["start", "retry", "member"] = START
    task_id: str = ""
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    former_queue: str | None = None
    takes_result: bool = False
    unknown: InvalidInput | None = None


class Decision(NamedTuple):
    """The task to publish, its type, and the question to confirm first, if any."""

    order: TaskSpec
    kind: TaskType
    question: str = ""


def decide_start(
    who: Identity | None,
    request: StartRequest,
    catalog: Catalog,
    known_queues: Collection[str],
    today: date,
) -> Decision:
    """Return what may be published for `request`; `who` is None for internal requests.

    `known_queues` are those that settings or workers name. Raises `CatalogError`,
    `InvalidInput` and `PermissionDenied`.
    """
    kind, kwargs = _choose_type(who, request, catalog, today)
    queue = request.options.queue or request.former_queue or kind.queue
    order = TaskSpec(
        task_id=request.task_id,
        name=kind.celery_name,
        args=request.args,
        kwargs=kwargs,
        options=msgspec.structs.replace(request.options, queue=queue),
        root_id=request.root_id,
        parent_id=request.parent_id,
        group_id=request.group_id,
    )
    refuse_queue(queue, known_queues, catalog.queues)
    if who is not None and not who.can_see(make_pending_view(order)):
        raise PermissionDenied(
            f"this token is narrowed to some tasks, and {order.name} as it was asked "
            "for is none of them"
        )
    if kind.confirm and request.way == MEMBER:
        raise _explain_member(request)
    question = _make_question(request, kind, order) if kind.confirm else ""
    return Decision(order, kind, question)


def _choose_type(
    who: Identity | None, request: StartRequest, catalog: Catalog, today: date
) -> tuple[TaskType, dict[str, object]]:
    """Return the type that the request fits, and the keyword arguments to send."""
    types = _find_candidates(request, catalog)
    _refuse_unlisted(request, types)
    # A caller that may start none of them must not see their parameters.
    widest = min(types, key=lambda kind: kind.scope == UNLISTED_SCOPE)
    _require_scope(who, request, widest)
    if request.unknown is not None:
        raise request.unknown
    if request.way == MEMBER and all(kind.confirm for kind in types):
        raise _explain_member(request)
    kind, kwargs = _match_type(request, types, today)
    _require_scope(who, request, kind)
    return kind, kwargs


def compute_fingerprint(who: str, decision: Decision, key: str | None) -> bytes:
    """Return a hash of exactly this start by exactly this caller."""
    order = decision.order
    options = order.options
    parts = (
        *(who, key, order.name, order.args, order.kwargs, order.parent_id),
        *(options.queue, options.priority, options.when, options.tags),
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()


def _find_candidates(request: StartRequest, catalog: Catalog) -> Sequence[TaskType]:
    if request.way != RETRY:
        return catalog.resolve(request.task_type)
    name = request.task_type
    unlisted = TaskType(name, name, scope=UNLISTED_SCOPE, any_params=True, title=name)
    return catalog.list_types(name) or (unlisted,)


def _refuse_unlisted(request: StartRequest, types: Sequence[TaskType]) -> None:
    name = request.task_type
    if not is_valid_name(types[0].celery_name):
        raise CatalogError(
            f"the name of a task must be a text of 1 to {MAX_NAME_CHARS} printable "
            "characters",
            name[:MAX_NAME_CHARS],
        )
    if not all(kind.startable for kind in types):
        raise CatalogError(
            f"{name} is registered, but no herald.toml lets it be started: add "
            f"allow = [{name!r}], or a task type for it (`herald catalog` writes one)",
            name,
        )


def _match_type(
    request: StartRequest, types: Sequence[TaskType], today: date
) -> tuple[TaskType, dict[str, object]]:
    """Return the type that the parameters fit, and the keyword arguments to send.

    If they fit several types of one Celery name, the strictest applies.
    """
    if _is_unchecked(request) and not all(kind.any_params for kind in types):
        strict = replace(_choose_strictest(types), scope=UNLISTED_SCOPE)
        return strict, dict(request.params)
    fitting: dict[str, tuple[TaskType, dict[str, object]]] = {}
    errors: list[CatalogError] = []
    for kind in types:
        try:
            fitting[kind.name] = kind, kind.check_params(request.params, today)
        except CatalogError as error:
            errors.append(error)
    if not fitting:
        raise errors[0]
    strict = _choose_strictest([kind for kind, _ in fitting.values()])
    return strict, fitting[strict.name][1]


def _is_unchecked(request: StartRequest) -> bool:
    """Return True if it has arguments that the catalog cannot validate."""
    return bool(request.args) or request.takes_result


def _choose_strictest(types: Sequence[TaskType]) -> TaskType:
    first = max(types, key=lambda kind: (kind.scope == UNLISTED_SCOPE, kind.confirm))
    return replace(first, confirm=any(kind.confirm for kind in types))


def _require_scope(who: Identity | None, request: StartRequest, kind: TaskType) -> None:
    if who is None:
        return
    what = request.task_type
    if request.way == RETRY:
        what = f"retrying {what}"
    if not who.has_scope(START):
        raise MissingScope(f"{what} needs a token with the scope start", START)
    if who.has_scope(kind.scope):
        return
    if _is_unchecked(request):
        what += " with positional arguments, which the catalog cannot check,"
    message = f"{what} needs a token with the scope {kind.scope}"
    raise MissingScope(message, kind.scope)


def _explain_member(request: StartRequest) -> InvalidInput:
    return InvalidInput(
        f"{request.task_type} asks a person to confirm; start it alone with "
        "start_background_task",
        "tasks",
    )


def _make_question(request: StartRequest, kind: TaskType, order: TaskSpec) -> str:
    given = [repr(value) for value in order.args]
    given += [f"{key}={value!r}" for key, value in order.kwargs.items()]
    again = " again" if request.way == RETRY else ""
    question = f"Start {kind.label}{again} ({', '.join(given)})? {kind.description}."
    options = order.options
    if options.queue and options.queue != kind.queue:
        question += f" Queue: {options.queue!r}."
    if options.when:
        question += f" When: {options.when}."
    if len(question) > MAX_QUESTION:
        raise InvalidInput(
            f"{request.task_type} asks a person to confirm, and its parameters take "
            f"more than the {MAX_QUESTION} characters that a person is shown; shorten "
            "them",
            "params",
        )
    return question
