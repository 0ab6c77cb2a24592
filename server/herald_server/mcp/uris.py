"""The URIs of resources. Pure."""

from __future__ import annotations

from urllib.parse import unquote

from herald_core.model.events.event import MAX_ID, MAX_NAME
from herald_core.model.tasks import views

TASK = "task://"
GROUP = "group://"
WORKER = "worker://"
ACTIVE = "tasks://active"
FAILED = "tasks://failed"
HEALTH = "herald://health"
TYPES = "herald://task-types"
CATALOG = "catalog://task-types"
"""The same as `TYPES`, under its first name. It never changes."""

FAILURES = (views.FAILURE, views.REJECTED, views.LOST)
"""States of tasks that failed without being cancelled."""

FIXED_URIS = frozenset([ACTIVE, FAILED, HEALTH, TYPES])
NAMED_SCHEMES = {TASK: MAX_ID, GROUP: MAX_ID, WORKER: MAX_NAME}
"""Schemes with a name in their URIs, and the maximum length of the name."""

URI_FORMS = (
    "task://TASK_ID, group://GROUP_ID, worker://NAME, tasks://active, "
    "tasks://failed, herald://health or herald://task-types"
)


def is_watchable(uri: str) -> bool:
    """Return True if `uri` can be subscribed to."""
    return uri in FIXED_URIS or any(parse_name(uri, scheme) for scheme in NAMED_SCHEMES)


def parse_name(uri: str, scheme: str) -> str:
    """Return the name after `scheme` in `uri`; empty if it has none."""
    if not uri.startswith(scheme):
        return ""
    name = unquote(uri[len(scheme) :])
    return name if len(name) <= NAMED_SCHEMES[scheme] else ""
