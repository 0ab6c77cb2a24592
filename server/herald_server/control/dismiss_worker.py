"""Dismiss a worker that is gone: delete its record before it expires."""

from __future__ import annotations

import time

import msgspec

from herald_core.errors import HeraldError
from herald_core.model.workers.worker import GONE_STATES
from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog


class UnknownWorker(HeraldError):
    """The store has no record of a worker."""


class WorkerAlive(HeraldError):
    """A worker is online or draining, so it cannot be dismissed."""


class DismissResult(msgspec.Struct, frozen=True):
    """A dismissed worker. `state` is its last state."""

    hostname: str
    state: str
    message: str


async def dismiss_worker(store: Store, audit: AuditLog, hostname: str) -> DismissResult:
    """Delete the record of a silent or offline worker, and write the audit record.

    Raises `UnknownWorker`, `WorkerAlive`, `StoreError`, and `ScopedTokenRefused` for
    task-scoped tokens.
    """
    state = await store.delete_worker(hostname, now=time.time())
    shown = hostname[:200]
    if state is None:
        raise UnknownWorker(
            f"no worker {shown!r} is known: it was never heard of, or is forgotten "
            "already; the list of workers has those that are"
        )
    if state not in GONE_STATES:
        raise WorkerAlive(
            f"worker {shown} is {state}: only one that is silent or offline can be "
            "dismissed; stop it first, and wait until nothing is heard of it"
        )
    await audit.record("dismiss_worker", hostname, outcome=state)
    return DismissResult(
        hostname,
        state,
        f"The worker, which was {state}, is forgotten. What still counts as running on "
        "it becomes LOST unless something is heard of it; the worker is listed again "
        "once it speaks.",
    )
