"""A gap: a stretch of time in which events may be missing. Pure."""

from __future__ import annotations

import msgspec

OPEN = "open"
CLOSED = "closed"
UNREPAIRABLE = "unrepairable"
"""States of a gap. The last two are its end."""

BACKEND_REASON = "the result backend: "
"""Begin of the reason of a gap in what a result backend publishes: events were received
meanwhile, only results as they were stored were not."""


class Gap(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A stretch in which events may be missing.

    `state` is `open` until every unfinished task was asked about after its end, and all
    results were searched for unknown tasks: `repaired` tasks were not as the events had
    told, or not known at all. Then it is `closed`, or `unrepairable` if tasks may be
    missing that nobody can tell of: `unrepaired` says which and why, as a sentence.
    `missing` counts starts of tasks that certainly were not heard. While the search
    goes on, `searched` of about `to_search` stored results were looked at. `durable`:
    the broker stored the events of that time, so they were only late.
    """

    id: str
    since: str
    until: str
    reason: str
    state: str = OPEN
    monitor: str = ""
    missing: int = 0
    repaired: int = 0
    closed_at: str | None = None
    rev: str | None = None
    durable: bool = False
    unrepaired: str = ""
    searched: int = 0
    to_search: int = 0


MAX_GAPS = 500
"""Gaps that are stored: a connection that fails every second must not fill the
store."""
