"""The resources by their URIs, and what of the store each one shows. Pure."""

from __future__ import annotations

from urllib.parse import unquote

from herald_monitor.model import shape
from herald_monitor.model.events import MAX_ID, MAX_NAME

TASK = "task://"
GROUP = "group://"
WORKER = "worker://"
ACTIVE = "tasks://active"
FAILED = "tasks://failed"
HEALTH = "herald://health"
TYPES = "herald://task-types"
CATALOG = "catalog://task-types"
"""The same as `TYPES`, under its first name. It never changes."""

FAILURES = (shape.FAILURE, shape.REJECTED, shape.LOST)
"""States of tasks that came to nothing although nobody cancelled them."""

SINGLE = frozenset([ACTIVE, FAILED, HEALTH, TYPES])
MANY = {TASK: MAX_ID, GROUP: MAX_ID, WORKER: MAX_NAME}
"""Schemes of which there are many, with the longest name each may have."""

FORMS = (
    "task://TASK_ID, group://GROUP_ID, worker://NAME, tasks://active, "
    "tasks://failed, herald://health or herald://task-types"
)


def watchable(uri: str) -> bool:
    """Say whether `uri` names something that can be subscribed to."""
    return uri in SINGLE or any(named(uri, scheme) for scheme in MANY)


def named(uri: str, scheme: str) -> str:
    """Return the name that `uri` has behind `scheme`; empty if it has none."""
    if not uri.startswith(scheme):
        return ""
    name = unquote(uri[len(scheme) :])
    return name if len(name) <= MANY[scheme] else ""
