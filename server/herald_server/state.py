"""What the doors of one server process share."""

from __future__ import annotations

import msgspec

from herald_monitor.store import Store
from herald_server.control import Control
from herald_server.feed import Feed
from herald_server.hub import Hub
from herald_server.limits import Tally
from herald_server.status import Status


class Shared(msgspec.Struct, frozen=True):
    """The store, how it is read and told, and who may send to Celery (if anybody)."""

    store: Store
    hub: Hub
    feed: Feed
    status: Status
    control: Control | None = None
    node: str = ""
    tally: Tally = msgspec.field(default_factory=Tally)
