"""Requests for figures: charts, task types, what fails, what is suspect."""

from __future__ import annotations

from collections.abc import Sequence

from herald_client.requests.request import JsonObject, Request, make_get


def get_series(
    window: str = "1h", name: str | None = None, queue: str | None = None
) -> Request[JsonObject]:
    """Return a chart of the last `1h` or `24h`, of all tasks, a name or a queue."""
    query = {"window": window, "name": name, "queue": queue}
    return make_get("stats", "series", answer=JsonObject, query=query)


def list_types() -> Request[JsonObject]:
    """Return the catalog and all task names, with the figures of the day."""
    return make_get("types", answer=JsonObject)


def list_failing() -> Request[JsonObject]:
    """Return the names of which tasks fail, and whether more than usual."""
    return make_get("failing", answer=JsonObject)


def list_suspects() -> Request[JsonObject]:
    """Return the tasks that run unusually long, or on silent workers, or are lost."""
    return make_get("suspects", answer=JsonObject)


def get_overview(fields: Sequence[str] = ()) -> Request[JsonObject]:
    """Return what the first screen of the dashboard shows, or only `fields` of it."""
    query = {"fields": ",".join(fields) or None}
    return make_get("overview", answer=JsonObject, query=query)
