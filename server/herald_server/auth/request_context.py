"""Identity of the current request, in a context variable.

API layers set it once per request. Every read of the store then omits what the token
may not see (`scoped_store.py`). Background work of the server has no caller.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from herald_core.model.filters import Filter
from herald_server.auth.identity import Identity

if TYPE_CHECKING:
    from herald_server.auth.quotas.cpu_budget import Account

ANONYMOUS = Identity("nobody", frozenset(), task_filter=Filter(ids=()))
"""Identity without a valid token. It has no scopes and sees no tasks."""


class RequestContext:
    """Identity, address and account of one connection. A renewed token
    replaces `who`."""

    __slots__ = ("account", "address", "identity")

    def __init__(
        self, who: Identity, address: str = "", account: Account | None = None
    ) -> None:
        self.identity = who
        self.address = address
        self.account = account
        """The account that is charged; None for none."""

    def charge(self, seconds: float, now: float) -> None:
        """Charge `seconds` of CPU time to its account; `now` is in
        monotonic seconds."""
        if self.account is not None:
            self.account.charge(seconds, now)


REQUEST_CONTEXT: ContextVar[RequestContext | None] = ContextVar(
    "herald_caller", default=None
)
"""The context of this request; None for background work."""


def get_request_context() -> RequestContext | None:
    """Return the context of this request; None for background work."""
    return REQUEST_CONTEXT.get()


def get_identity() -> Identity | None:
    """Return the caller's identity; None for background work."""
    context = REQUEST_CONTEXT.get()
    return None if context is None else context.identity


def get_account() -> Account | None:
    """Return the account that is charged; None if there is none."""
    context = REQUEST_CONTEXT.get()
    return None if context is None else context.account


def charge_caller(seconds: float) -> None:
    """Charge `seconds` of CPU time, for example of another thread, to the caller."""
    context = REQUEST_CONTEXT.get()
    if context is not None:
        context.charge(seconds, time.monotonic())


def get_task_filter() -> Filter | None:
    """Return the caller's task filter; None if it can see every task."""
    context = REQUEST_CONTEXT.get()
    return None if context is None else context.identity.task_filter


def is_hidden(field: str) -> bool:
    """Return True if the caller's token does not show a field of tasks."""
    only = get_task_filter()
    return only is not None and field in only.hidden_fields


def set_identity(who: Identity) -> None:
    """Set the caller of this asyncio task and of those that it starts."""
    former = REQUEST_CONTEXT.get()
    if former is None:
        REQUEST_CONTEXT.set(RequestContext(who))
    elif former.identity is not who:
        REQUEST_CONTEXT.set(RequestContext(who, former.address, former.account))


@contextmanager
def enter_request(
    who: Identity, address: str = "", account: Account | None = None
) -> Generator[RequestContext]:
    """Set `who`, at `address`, as the caller within the block."""
    context = RequestContext(who, address, account)
    token = REQUEST_CONTEXT.set(context)
    try:
        yield context
    finally:
        REQUEST_CONTEXT.reset(token)
