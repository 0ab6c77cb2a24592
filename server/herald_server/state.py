"""What the doors of one server process share."""

from __future__ import annotations

from functools import cached_property

import msgspec

from herald_monitor.backends import ResultBackend
from herald_monitor.notes import MemoryNotes
from herald_monitor.store import Store
from herald_server.audit import Audit
from herald_server.catalog import Catalog
from herald_server.control import Control
from herald_server.cpu_budget import Accounts
from herald_server.feed import Feed
from herald_server.group_reader import GroupReader
from herald_server.group_sizes import GroupSizes
from herald_server.hub import Hub
from herald_server.limits import Tally
from herald_server.minutes import Minutes
from herald_server.status import Status
from herald_server.webhooks.desk import Desk


def _no_audit() -> Audit:
    return Audit(MemoryNotes())


class Kept(msgspec.Struct, frozen=True):
    """For how many seconds a task is kept: after its end, or after its last word."""

    finished: float = 86_400.0
    unfinished: float = 604_800.0


class Shared(msgspec.Struct, frozen=True, dict=True):
    """The store, how it is read and told, and who may send to Celery (if anybody).

    `store` is the one that doors read: narrowed to what their caller may see.
    """

    store: Store
    hub: Hub
    feed: Feed
    status: Status
    control: Control | None = None
    node: str = ""
    tally: Tally = msgspec.field(default_factory=Tally)
    accounts: Accounts = msgspec.field(default_factory=Accounts)
    """What each token has taken of this process."""
    desk: Desk | None = None
    """Where webhooks are registered, if this process serves others."""
    audit: Audit = msgspec.field(default_factory=_no_audit)
    backend: ResultBackend | None = None
    """The result backend, asked on demand, if there is an app to know it."""
    kept: Kept = Kept()
    types: Catalog = msgspec.field(default_factory=Catalog.shipped)
    """The task types that are known where nothing can be sent."""

    @cached_property
    def minutes(self) -> Minutes:
        """What happened in each minute of the last day, of all tasks."""
        return Minutes(self.store)

    @cached_property
    def groups(self) -> GroupReader:
        """What is known of groups and chains, as their caller may see it."""
        return GroupReader(self.store, GroupSizes(self.store, self.backend))

    @property
    def catalog(self) -> Catalog:
        """The task types that are known, whether they may be sent or not."""
        return self.control.catalog if self.control else self.types
