"""The HTTP door's orders beyond start and cancel: retry, and groups as one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.errors import BadInput
from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import TaskImage
from herald_server.consent import ASKED_FOR, PERSON, Unconfirmed
from herald_server.control import Cancelled, Control, Started
from herald_server.group_reader import MOST_LISTED, GroupSummary
from herald_server.group_sentences import cancel_sentence, group_sentence
from herald_server.http_auth import allowed
from herald_server.http_body import json_object
from herald_server.options import KEYS, Options, parse_options
from herald_server.problems import Problem
from herald_server.state import Shared

STALE_HEADER = "Herald-Stale-Since"
"""Header of an answer that may be outdated: since when (RFC 3339), or `unknown`."""

CONFIRMATION = "confirmation"
EXPIRES = "confirmation_expires_in"
NO_BROKER = "this server knows no broker to send to; set HERALD_BROKER_URL"


def shown(image: object, status: int = 200) -> Response:
    """Return a response that carries `image` as JSON."""
    return Response(to_json(image), status, media_type="application/json")


def show_marked(shared: Shared, body: object, status: int = 200) -> Response:
    """Return `body`, an object, as JSON, with `stale` while it may be outdated.

    A header says the same. `stale` holds `reason` and, if Herald was ever up to
    date, `since` (RFC 3339).
    """
    stale = shared.status.staleness()
    if stale is None:
        return shown(body, status)
    fields = msgspec.to_builtins(body)
    answer = shown({**fields, "stale": stale.shown()}, status)
    answer.headers[STALE_HEADER] = stale.since or "unknown"
    return answer


@contextmanager
def asking(control: Control) -> Generator[None]:
    """Answer an order that a person has to agree to with the question.

    The same order with the `confirmation` of that answer is then carried out.
    Raises `Problem`.
    """
    try:
        yield
    except Unconfirmed as error:
        if control.consents.policy == PERSON:
            raise Problem(
                403,
                f"{error.question} This needs the consent of a person, whom this door "
                "cannot ask; start it from an MCP client that supports elicitation "
                "(HERALD_CONFIRM=person).",
            ) from None
        raise Problem(
            428, error.question, more={CONFIRMATION: error.ticket, EXPIRES: ASKED_FOR}
        ) from None


def ticket_in(body: Mapping[str, object]) -> str | None:
    """Return the confirmation that a body carries. Raises `BadInput`."""
    ticket = body.get(CONFIRMATION)
    if ticket is not None and not isinstance(ticket, str):
        raise BadInput(
            "confirmation must be the text that the answer 428 to this order gave",
            CONFIRMATION,
        )
    return ticket


class Orders:
    """Routes that send to Celery, and what is known of groups."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._store = shared.store
        self._control = shared.control
        self._groups = shared.groups

    def routes(self) -> list[Route]:
        """Return the routes."""
        tasks, groups = "/api/v1/tasks/{id:path}", "/api/v1/groups/{id}"
        return [
            Route(f"{tasks}/retry", self.retry, methods=["POST"]),
            Route(f"{groups}/cancel", self.cancel_group, methods=["POST"]),
            Route(groups, self.group, methods=["GET"]),
        ]

    def control(self) -> Control:
        """Return what sends to Celery. Raises `Problem`."""
        if self._control is None:
            raise Problem(503, NO_BROKER)
        return self._control

    @allowed("start")
    async def retry(self, request: Request) -> Response:
        """Send a task that is over again: `{}`, or `{"kwargs": {…}}` and options."""
        control = self.control()
        body = await json_object(request, empty=True)
        refuse_unknown(body, ("kwargs",), (CONFIRMATION, *KEYS))
        kwargs: object = body.get("kwargs")
        if kwargs is not None and not isinstance(kwargs, dict):
            raise BadInput("kwargs must be an object", "kwargs")
        options = options_of(body).traced(request.headers.get("traceparent"))
        given = cast("dict[str, object] | None", kwargs)
        with asking(control):
            started = await control.retry(
                request.path_params["id"], given, options, ticket=ticket_in(body)
            )
        return shown(queued(started), 201)

    @allowed("read")
    async def group(self, request: Request) -> Response:
        """Return a group or chain by its members; 404 if none is known."""
        group_id = request.path_params["id"]
        found = await self._groups.summary(group_id)
        if found is None:
            raise Problem(404, f"nothing is known of a group {group_id[:80]!r}")
        most = listed_most(request)
        tasks = await self._groups.members(group_id, most) if most else []
        told = rolled_up(found, tasks)
        return show_marked(self._shared, told)

    @allowed("cancel")
    async def cancel_group(self, request: Request) -> Response:
        """Cancel all members that have not ended, and say what came of each."""
        group_id = request.path_params["id"]
        done = await self.control().cancel_group(group_id)
        if not done:
            raise Problem(404, f"nothing is known of a group {group_id[:80]!r}")
        outcomes = dict(Counter(one.outcome for one in done))
        tasks = [cancelled(one) for one in done]
        found = await self._groups.summary(group_id)
        told = {
            "group_id": group_id,
            "outcomes": outcomes,
            "tasks": tasks,
            "whole": found is not None and found.whole,
            "message": cancel_sentence(outcomes, found),
        }
        return shown(told)


def listed_most(request: Request) -> int:
    """Return how many members are asked for by `tasks`. Raises `BadInput`."""
    text = request.query_params.get("tasks", str(MOST_LISTED))
    if not text.isascii() or not text.isdigit() or int(text[:9]) > MOST_LISTED:
        raise BadInput(f"tasks must be a whole number from 0 to {MOST_LISTED}", "tasks")
    return int(text)


def rolled_up(found: GroupSummary, tasks: Sequence[TaskImage]) -> dict[str, Any]:
    """Return a group, and some of its `tasks`, as one object. Pure."""
    return {
        "group_id": found.group_id,
        "total": found.total,
        "finished": found.over,
        "done": found.done,
        "whole": found.whole,
        "percent": found.percent,
        "counts": found.counts,
        "tasks": tasks,
        "tasks_whole": len(tasks) >= found.heard,
        "message": group_sentence(found),
    }


def cancelled(done: Cancelled) -> dict[str, Any]:
    """Return what came of a cancel."""
    fields: dict[str, Any] = msgspec.to_builtins(done)
    fields["status"] = fields.pop("state").lower()
    return {k: v for k, v in fields.items() if v is not None}


def queued(started: Started) -> dict[str, Any]:
    """Return a task that was sent."""
    fields: dict[str, Any] = msgspec.to_builtins(started)
    return fields if started.eta else {k: v for k, v in fields.items() if k != "eta"}


def options_of(body: Mapping[str, object]) -> Options:
    """Return the options in a body. Raises `BadInput`."""
    return parse_options({key: body.get(key) for key in KEYS}, time.time())


def refuse_unknown(
    body: Mapping[str, object], needed: Sequence[str], more: Sequence[str] = KEYS
) -> None:
    """Raise `BadInput` for a key that is neither among `needed` nor `more`."""
    unknown = sorted(body.keys() - {*needed, *more})
    if unknown:
        raise BadInput(
            f"unknown key {unknown[0]!r}; send {' and '.join(needed)}; also "
            f"{', '.join(more)}"
        )
