"""Requests about failures by cause."""

from __future__ import annotations

from herald_client.models.answers import FilterValues
from herald_client.requests.request import Request, make_filter, make_get
from herald_core.model.failures.summary import FailureDetail, FailureList


def list_failures(
    window: str = "1h", name: FilterValues | None = None, limit: int = 50
) -> Request[FailureList]:
    """Return the causes of the failures in the last `10m`, `1h` or `24h`.

    The most frequent comes first. `name` selects names of tasks.
    """
    names = {} if name is None else make_filter({"name": name})
    query = {"window": window, "limit": limit, **names}
    return make_get("failures", answer=FailureList, query=query)


def get_failure(fingerprint: str, window: str = "24h") -> Request[FailureDetail]:
    """Return one cause of failures, with its spread.

    Raises `ServerProblem` with status 404 if nothing is known of it.
    """
    query = {"window": window}
    return make_get("failures", fingerprint, answer=FailureDetail, query=query)
