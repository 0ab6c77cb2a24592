"""REST routes of actions: retry, and groups."""

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

from herald_core.errors import InvalidInput
from herald_core.model.codec import to_json
from herald_core.model.tasks.views import TaskView
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require
from herald_server.control.cancel.sentences import describe_cancel, describe_group
from herald_server.control.control import CancelResult, Control, StartResult
from herald_server.control.start.consent import (
    PERSON,
    TICKET_TTL_S,
    ConfirmationRequired,
)
from herald_server.control.start.send_options import (
    OPTION_KEYS,
    SendOptions,
    parse_options,
)
from herald_server.insight.groups.reader import MAX_LISTED, GroupSummary

STALE_HEADER = "Herald-Stale-Since"
"""Header of an answer that may be outdated: since when (RFC 3339), or `unknown`."""

CONFIRMATION_KEY = "confirmation"
EXPIRES_KEY = "confirmation_expires_in"
NO_BROKER = "this server knows no broker to send to; set HERALD_BROKER_URL"


def make_json_response(body: object, status: int = 200) -> Response:
    """Return a response that carries `body` as JSON."""
    return Response(to_json(body), status, media_type="application/json")


def make_marked_response(
    shared: ServerContext, body: object, status: int = 200
) -> Response:
    """Return `body`, an object, as JSON, with `stale` if it may be outdated.

    A header contains the same. `stale` has `reason` and, if the data was ever up to
    date, `since` (RFC 3339).
    """
    stale = shared.status.find_staleness()
    if stale is None:
        return make_json_response(body, status)
    fields = msgspec.to_builtins(body)
    answer = make_json_response({**fields, "stale": stale.to_json()}, status)
    answer.headers[STALE_HEADER] = stale.since or "unknown"
    return answer


@contextmanager
def answer_with_question(control: Control) -> Generator[None]:
    """Respond with the question if a start must be confirmed.

    The same request with the `confirmation` of that response is then carried out.
    Raises `Problem`.
    """
    try:
        yield
    except ConfirmationRequired as error:
        if control.consents.policy == PERSON:
            raise Problem(
                403,
                f"{error.question} This needs the consent of a person, which this API "
                "cannot request; start it from an MCP client that supports elicitation "
                "(HERALD_CONFIRM=person).",
            ) from None
        raise Problem(
            428,
            error.question,
            more={CONFIRMATION_KEY: error.ticket, EXPIRES_KEY: TICKET_TTL_S},
        ) from None


def parse_ticket(body: Mapping[str, object]) -> str | None:
    """Return the confirmation in a body; None if there is none.

    Raises `InvalidInput`.
    """
    ticket = body.get(CONFIRMATION_KEY)
    if ticket is not None and not isinstance(ticket, str):
        raise InvalidInput(
            "confirmation must be the text that the answer 428 to this order gave",
            CONFIRMATION_KEY,
        )
    return ticket


class ActionRoutes:
    """Routes that publish to Celery, and those of groups."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared
        self._store = shared.store
        self._control = shared.control
        self._groups = shared.groups

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        tasks, groups = "/api/v1/tasks/{id:path}", "/api/v1/groups/{id}"
        return [
            Route(f"{tasks}/retry", self.retry_task, methods=["POST"]),
            Route(f"{groups}/cancel", self.cancel_group, methods=["POST"]),
            Route(groups, self.get_group, methods=["GET"]),
        ]

    def get_control(self) -> Control:
        """Return the publisher of tasks. Raises `Problem`."""
        if self._control is None:
            raise Problem(503, NO_BROKER)
        return self._control

    @require("start")
    async def retry_task(self, request: Request) -> Response:
        """Publish a finished task again: `{}`, or `{"kwargs": {…}}` and options."""
        control = self.get_control()
        body = await read_json_object(request, empty=True)
        refuse_unknown(body, ("kwargs",), (CONFIRMATION_KEY, *OPTION_KEYS))
        kwargs: object = body.get("kwargs")
        if kwargs is not None and not isinstance(kwargs, dict):
            raise InvalidInput("kwargs must be an object", "kwargs")
        options = parse_options_in(body).with_trace(request.headers.get("traceparent"))
        given = cast("dict[str, object] | None", kwargs)
        with answer_with_question(control):
            started = await control.retry(
                request.path_params["id"], given, options, ticket=parse_ticket(body)
            )
        return make_json_response(make_started_response(started), 201)

    @require("read")
    async def get_group(self, request: Request) -> Response:
        """Return a group or chain with its members; 404 if it is unknown."""
        group_id = request.path_params["id"]
        summary = await self._groups.read_summary(group_id)
        if summary is None:
            raise Problem(404, f"nothing is known of a group {group_id[:80]!r}")
        limit = parse_member_limit(request)
        tasks = await self._groups.read_members(group_id, limit) if limit else []
        return make_marked_response(self._shared, make_group_body(summary, tasks))

    @require("cancel")
    async def cancel_group(self, request: Request) -> Response:
        """Cancel all unfinished members, and return the result of each."""
        group_id = request.path_params["id"]
        done = await self.get_control().cancel_group(group_id)
        if not done:
            raise Problem(404, f"nothing is known of a group {group_id[:80]!r}")
        outcomes = dict(Counter(one.outcome for one in done))
        summary = await self._groups.read_summary(group_id)
        return make_json_response(
            {
                "group_id": group_id,
                "outcomes": outcomes,
                "tasks": [make_cancel_response(one) for one in done],
                "whole": summary is not None and summary.whole,
                "message": describe_cancel(outcomes, summary),
            }
        )


def parse_member_limit(request: Request) -> int:
    """Return the number of members requested by `tasks`. Raises `InvalidInput`."""
    text = request.query_params.get("tasks", str(MAX_LISTED))
    if not text.isascii() or not text.isdigit() or int(text[:9]) > MAX_LISTED:
        raise InvalidInput(
            f"tasks must be a whole number from 0 to {MAX_LISTED}", "tasks"
        )
    return int(text)


def make_group_body(summary: GroupSummary, tasks: Sequence[TaskView]) -> dict[str, Any]:
    """Return a group, and some of its `tasks`, as one object. Pure."""
    return {
        "group_id": summary.group_id,
        "total": summary.total,
        "finished": summary.over,
        "done": summary.is_done,
        "whole": summary.whole,
        "percent": summary.percent,
        "counts": summary.counts,
        "tasks": tasks,
        "tasks_whole": len(tasks) >= summary.heard,
        "message": describe_group(summary),
    }


def make_cancel_response(done: CancelResult) -> dict[str, Any]:
    """Return the result of a cancel as JSON."""
    fields: dict[str, Any] = msgspec.to_builtins(done)
    fields["status"] = fields.pop("state").lower()
    return {k: v for k, v in fields.items() if v is not None}


def make_started_response(started: StartResult) -> dict[str, Any]:
    """Return a started task as JSON."""
    fields: dict[str, Any] = msgspec.to_builtins(started)
    added = ("eta", "queue", "tags")
    return {k: v for k, v in fields.items() if v or k not in added}


def parse_options_in(body: Mapping[str, object]) -> SendOptions:
    """Return the send options in a body. Raises `InvalidInput`."""
    return parse_options({key: body.get(key) for key in OPTION_KEYS}, time.time())


def refuse_unknown(
    body: Mapping[str, object], needed: Sequence[str], more: Sequence[str] = OPTION_KEYS
) -> None:
    """Raise `InvalidInput` for a key that is neither in `needed` nor in `more`."""
    unknown = sorted(body.keys() - {*needed, *more})
    if unknown:
        raise InvalidInput(
            f"unknown key {unknown[0]!r}; send {' and '.join(needed)}; also "
            f"{', '.join(more)}"
        )
