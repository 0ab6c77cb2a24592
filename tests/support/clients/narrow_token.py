"""Two tasks: one of somebody with a narrow token, one that is none of theirs."""

import json
from typing import Any

from herald_core.model.filters import Filter
from tests.support.herald.server import Server

HIDDEN, MINE, GROUP = "hidden-task", "my-task", "hidden-group"
MARKS = (
    *("payroll.run", "secret-queue", "hidden-word", "celery@secret-host"),
    *(HIDDEN, GROUP),
)
ONLY = Filter(name=("reports.*",))


async def hidden(server: Server, kind: str, **fields: Any) -> None:
    """Tell of the task that is none of theirs."""
    about = {"name": "payroll.run", "queue": "secret-queue", "group_id": GROUP}
    told = {**about, "host": "celery@secret-host", "tags": ("hidden-word",)}
    if kind == "started":
        await server.tell("received", HIDDEN, **told)
    await server.tell(kind, HIDDEN, **told, **fields)


async def mine(server: Server, kind: str, **fields: Any) -> None:
    """Tell of the task that is theirs."""
    if kind == "started":
        # Only what a worker says first tells the name.
        await server.tell("received", MINE, name="reports.daily")
    await server.tell(kind, MINE, name="reports.daily", **fields)


def marks(said: object) -> list[str]:
    """Return what of the hidden task is in something that was said."""
    text = said if isinstance(said, str) else json.dumps(said, default=str)
    return [mark for mark in MARKS if mark in text]


def ended(frames: list[dict[str, Any]]) -> set[str]:
    """Return the subscriptions that were told of a task that ended well."""
    return {
        frame["id"]
        for frame in frames
        if frame["type"] == "data"
        and any(one.get("state") == "SUCCESS" for one in frame["put"])
    }
