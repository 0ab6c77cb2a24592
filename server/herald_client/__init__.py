"""The Python clients. `async with Herald(url, token) as herald: …`, or
`with SyncHerald(url, token) as herald: …`.

async for change in herald.watch(name="reports.*", state="FAILURE"):
    match change:
        case Put(task):
            print(task.id, task.state)
        case Gone(id):
            print(id, "does not match any more")
        case Reset(reason):
            print("start over:", reason)
"""

from herald_client.client.async_calls import OrderClient
from herald_client.client.async_client import Herald
from herald_client.client.sync_calls import SyncOrderClient
from herald_client.client.sync_client import SyncHerald
from herald_client.connection.sync_watch import SyncWatch
from herald_client.connection.watch import Watch
from herald_client.errors import (
    AccessRefused,
    ClientError,
    ConfirmationNeeded,
    RecordExpired,
    ServerProblem,
    TaskNotFinished,
    TimedOut,
    Unreachable,
)
from herald_client.models.answers import (
    Cancelled,
    Dismissed,
    FilterKeys,
    Started,
    Stats,
    TaskDetail,
    WorkerDetail,
    WorkerHistory,
)
from herald_client.models.changes import Change, CountImage, Gone, Put, Reset
from herald_client.models.orders import OrderPreview
from herald_client.models.tokens import MintedToken
from herald_core.model.orders import Order

__all__ = [
    "AccessRefused",
    "Cancelled",
    "Change",
    "ClientError",
    "ConfirmationNeeded",
    "CountImage",
    "Dismissed",
    "FilterKeys",
    "Gone",
    "Herald",
    "MintedToken",
    "Order",
    "OrderClient",
    "OrderPreview",
    "Put",
    "RecordExpired",
    "Reset",
    "ServerProblem",
    "Started",
    "Stats",
    "SyncHerald",
    "SyncOrderClient",
    "SyncWatch",
    "TaskDetail",
    "TaskNotFinished",
    "TimedOut",
    "Unreachable",
    "Watch",
    "WorkerDetail",
    "WorkerHistory",
]
