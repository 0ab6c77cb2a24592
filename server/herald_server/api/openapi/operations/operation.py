"""How an operation is described, and what many have in common."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from herald_core.model.filters import KEYS
from herald_server.api.http.query import MAX_PAGE_SIZE

JSON = "application/json"
TEXT = {"type": "string"}
SECONDS = {"type": "number", "minimum": 0}
TIME = {"type": "string", "format": "date-time"}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What one route takes and answers.

    `query` maps a parameter to its schema, `answers` a status to the type of its body
    (None: without one), in the media types `media`. `errors` are further statuses with
    a problem document. `is_public`: it needs no token. `text` describes it where its
    handler is an application, whose docstring is for developers.
    """

    query: Mapping[str, Mapping[str, Any]] = {}
    headers: Mapping[str, Mapping[str, Any]] = {}
    body: Any = None
    is_body_needed: bool = False
    answers: Mapping[int, Any] = MappingProxyType({200: Any})
    errors: tuple[int, ...] = ()
    media: tuple[str, ...] = (JSON,)
    is_public: bool = False
    group: str = ""
    text: str = ""


def count_up_to(most: int, least: int = 1) -> dict[str, Any]:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


FILTER_QUERY = {key: TEXT for key in KEYS}
PAGE_QUERY = {
    "after": TIME,
    "before": TIME,
    "limit": count_up_to(MAX_PAGE_SIZE),
    "page": TEXT,
}
SEARCH_QUERY = {"q": TEXT, "sort": TEXT, "tz": TEXT}
WINDOW_QUERY = {"window": TEXT}
MARK_QUERY = {"mark": TEXT, "window": TEXT}
WAIT_QUERY = {"wait": SECONDS}

TASKS, GROUPS, WORKERS, QUEUES = "Tasks", "Groups", "Workers", "Queues"
STATISTICS, SCHEDULES, DEPLOYS = "Statistics", "Periodic tasks", "Deploys"
ORDERS, TOKENS, WEBHOOKS, STREAMS = "Bulk orders", "Tokens", "Webhooks", "Streams"
ALERTS, PROBES, PAGES = "Alerts", "Probes", "Pages"
SIGN_IN = "Single sign-on"

V1 = "/api/v1"

OperationTable = dict[tuple[str, str], Operation]
"""Operations by method and path."""
