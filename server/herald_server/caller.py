"""Who is being served now, for the rooms behind the doors.

Doors say it once; what a token may not see is then left out wherever the store is
read for it (`seen.py`). Work of the server itself has no caller.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from herald_monitor.model.filters import Filter
from herald_server.auth import Identity
from herald_server.cpu_budget import Account

NOBODY = Identity("nobody", frozenset(), only=Filter(ids=()))
"""Whoever gave no valid token: may do nothing and sees nothing."""


class Caller:
    """One connection's caller. A renewed token replaces `who` for all of it."""

    __slots__ = ("account", "address", "who")

    def __init__(
        self, who: Identity, address: str = "", account: Account | None = None
    ) -> None:
        self.who = who
        self.address = address
        self.account = account
        """What is done for it is charged to this; None: to nobody."""

    def charge(self, seconds: float, now: float) -> None:
        """Charge `seconds` of CPU time; `now` is in monotonic seconds."""
        if self.account is not None:
            self.account.charge(seconds, now)


_caller: ContextVar[Caller | None] = ContextVar("herald_caller", default=None)


def caller() -> Caller | None:
    """Return the caller of this connection; None for work of our own."""
    return _caller.get()


def current() -> Identity | None:
    """Return who is being served; None for work of our own."""
    found = _caller.get()
    return None if found is None else found.who


def account() -> Account | None:
    """Return who pays for what is done now; None: nobody."""
    found = _caller.get()
    return None if found is None else found.account


def charge(seconds: float) -> None:
    """Charge `seconds` of CPU time, on another thread say, to who is being served."""
    found = _caller.get()
    if found is not None:
        found.charge(seconds, time.monotonic())


def only() -> Filter | None:
    """Return to what who is being served is narrowed; None: sees everything."""
    who = current()
    return None if who is None else who.only


def become(who: Identity) -> None:
    """Serve `who` from here on, in this task and those that it starts."""
    found = _caller.get()
    if found is None or found.who is not who:
        made = Caller(who)
        if found is not None:
            made.address, made.account = found.address, found.account
        _caller.set(made)


@contextmanager
def serving(
    who: Identity, address: str = "", account: Account | None = None
) -> Generator[Caller]:
    """Serve `who`, who comes from `address`, within the block."""
    made = Caller(who, address, account)
    token = _caller.set(made)
    try:
        yield made
    finally:
        _caller.reset(token)
