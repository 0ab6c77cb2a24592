"""Dismissing a worker that is gone: forget it before its time is over."""

from __future__ import annotations

import time

import msgspec

from herald_monitor.errors import HeraldError
from herald_monitor.model.workers import GONE
from herald_monitor.store import Store
from herald_server.audit import Audit


class NoWorker(HeraldError):
    """Nothing is stored about a worker."""


class StillLives(HeraldError):
    """A worker is online or draining, so it cannot be dismissed."""


class Dismissed(msgspec.Struct, frozen=True):
    """A worker that was dismissed. `state` is the one that it was in."""

    hostname: str
    state: str
    message: str


async def dismiss_worker(store: Store, audit: Audit, hostname: str) -> Dismissed:
    """Forget a worker that is silent or offline, and record the order.

    Raises `NoWorker`, `StillLives`, `StoreError`, and `Narrow` for narrow tokens.
    """
    state = await store.dismiss(hostname, now=time.time())
    shown = hostname[:200]
    if state is None:
        raise NoWorker(
            f"no worker {shown!r} is known: it was never heard of, or is forgotten "
            "already; the list of workers has those that are"
        )
    if state not in GONE:
        raise StillLives(
            f"worker {shown} is {state}: only one that is silent or offline can be "
            "dismissed; stop it first, and wait until nothing is heard of it"
        )
    await audit.record("dismiss_worker", hostname, outcome=state)
    return Dismissed(
        hostname,
        state,
        f"The worker, which was {state}, is forgotten. What still counts as running on "
        "it becomes LOST unless something is heard of it; the worker is listed again "
        "once it speaks.",
    )
