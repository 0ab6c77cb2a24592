"""The Python client. `async with Herald(url, token) as herald: …`

async for change in herald.watch(name="reports.*", state="FAILURE"):
    match change:
        case Put(task):
            print(task.id, task.state)
        case Gone(id):
            print(id, "does not match any more")
        case Reset(reason):
            print("start over:", reason)
"""

from herald_server.client.answers import (
    Cancelled,
    Dismissed,
    FilterKeys,
    Started,
    Stats,
    TaskDetail,
)
from herald_server.client.changes import Change, CountImage, Gone, Put, Reset
from herald_server.client.errors import (
    ClientError,
    ConfirmationNeeded,
    Forgotten,
    NoEnding,
    Refused,
    ServerProblem,
    TimedOut,
    Unreachable,
)
from herald_server.client.herald import Herald
from herald_server.client.watch import Watch

__all__ = [
    "Cancelled",
    "Change",
    "ClientError",
    "ConfirmationNeeded",
    "CountImage",
    "Dismissed",
    "FilterKeys",
    "Forgotten",
    "Gone",
    "Herald",
    "NoEnding",
    "Put",
    "Refused",
    "Reset",
    "ServerProblem",
    "Started",
    "Stats",
    "TaskDetail",
    "TimedOut",
    "Unreachable",
    "Watch",
]
