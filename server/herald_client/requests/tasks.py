"""Requests about tasks: read, start, cancel, run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from herald_client.models.answers import (
    Cancelled,
    FilterKeys,
    Started,
    Stats,
    TaskDetail,
    TaskList,
)
from herald_client.requests.request import (
    JsonObject,
    Request,
    make_filter,
    make_get,
    make_post,
)


class StartOptions(TypedDict, total=False):
    """How a task is sent. Times are RFC 3339, durations seconds."""

    priority: int
    countdown: float
    eta: str
    expires: float | str
    queue: str
    tags: Iterable[str]


def get_task(task_id: str) -> Request[TaskDetail]:
    """Return a task; its state is `UNKNOWN` or `EXPIRED` if there is no record."""
    return make_get("tasks", task_id, answer=TaskDetail, accepted=(404,))


def wait_for_task(task_id: str, timeout: float = 20.0) -> Request[JsonObject]:
    """Return the task once it ends, or as it is after `timeout` s (at most 60).

    `timed_out` is true if it has not ended. `wait` waits for as long as it takes.
    """
    return make_get(
        *("tasks", task_id, "wait"),
        answer=JsonObject,
        query={"timeout": f"{timeout:g}"},
        accepted=(404,),
    )


def explain_task(task_id: str) -> Request[JsonObject]:
    """Return why a task has not started or ended: `reason`, `message`, `advice`."""
    return make_get("tasks", task_id, "why", answer=JsonObject, accepted=(404,))


def get_tree(task_id: str) -> Request[JsonObject]:
    """Return the `tasks` of its tree, without long values; `root`, and `whole`."""
    return make_get("tasks", task_id, "tree", answer=JsonObject)


def get_result(task_id: str, most: int | None = None) -> Request[JsonObject]:
    """Return the result from the result backend, of at most `most` bytes."""
    query = {"most": most}
    return make_get("tasks", task_id, "result", answer=JsonObject, query=query)


def list_tasks(
    *,
    after: str | None = None,
    before: str | None = None,
    limit: int | None = None,
    page: str | None = None,
    query: str | None = None,
    sort: str | None = None,
    tz: str | None = None,
    **filter_: Unpack[FilterKeys],
) -> Request[TaskList]:
    """Return a page of the tasks that match, newest first."""
    wish = {
        **make_filter(filter_),
        **{"after": after, "before": before, "q": query, "sort": sort, "tz": tz},
        **{"limit": limit, "page": page},
    }
    return make_get("tasks", answer=TaskList, query=wish)


def export_tasks(
    query: str | None = None,
    *,
    format: Literal["csv", "json", "ndjson"] = "csv",
    columns: Sequence[str] = (),
    limit: int | None = None,
    tz: str | None = None,
    **filter_: Unpack[FilterKeys],
) -> Request[bytes]:
    """Return an export of the tasks that match, to be read in pieces."""
    wish = {
        **make_filter(filter_),
        **{"q": query, "format": format, "limit": limit, "tz": tz},
        "columns": ",".join(columns) or None,
    }
    return make_get("tasks", "export", answer=bytes, query=wish)


def suggest(query: str, limit: int | None = None) -> Request[JsonObject]:
    """Return what may be written next at the end of a search text."""
    wish = {"q": query, "limit": limit}
    return make_get("tasks", "suggest", answer=JsonObject, query=wish)


def get_stats() -> Request[Stats]:
    """Return how many tasks are in each state."""
    return make_get("stats", answer=Stats)


def start(
    task_type: str,
    params: Mapping[str, object] | None = None,
    *,
    confirmation: str | None = None,
    idempotency_key: str | None = None,
    **options: Unpack[StartOptions],
) -> Request[Started]:
    """Start a task of the catalog. Raises `ServerProblem` if it is invalid.

    Raises `ConfirmationNeeded` if the user must confirm; call again with its
    `confirmation` once they agreed. However often it is called with one
    `idempotency_key`, the task is started once.
    """
    body = {
        **{"task_type": task_type, "params": dict(params or {})},
        **{"confirmation": confirmation, "idempotency_key": idempotency_key},
        **_list_options(options),
    }
    return make_post("tasks", body=body, answer=Started)


def retry(
    task_id: str,
    kwargs: Mapping[str, object] | None = None,
    *,
    confirmation: str | None = None,
    **options: Unpack[StartOptions],
) -> Request[Started]:
    """Send a task that has ended once more, as a new task.

    It gets its own arguments if they are known whole and held no secrets, or `kwargs`.
    Raises `ServerProblem` if it cannot be sent, `ConfirmationNeeded` as `start` does.
    """
    given = None if kwargs is None else dict(kwargs)
    more = {"kwargs": given, "confirmation": confirmation}
    body = {**more, **_list_options(options)}
    return make_post("tasks", task_id, "retry", body=body, answer=Started)


def cancel(task_id: str) -> Request[Cancelled]:
    """Cancel a task and return the outcome.

    The outcome of an unknown task is `unknown`.
    """
    return make_post("tasks", task_id, "cancel", answer=Cancelled, accepted=(404,))


def _list_options(options: StartOptions) -> dict[str, Any]:
    given: dict[str, Any] = dict(options)
    if given.get("tags") is not None:
        given["tags"] = list(given["tags"])
    return given
