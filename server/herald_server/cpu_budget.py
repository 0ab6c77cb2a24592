"""How much CPU time one token may take, however many connections it opens.

What a request costs is known only afterwards, so an account may be in debt; then what
comes next has to wait (`waiting_turns.py`). Pushing changes to who watches is not
counted: it is what the server is for.
"""

from __future__ import annotations

import asyncio

from herald_server.auth import Identity
from herald_server.limits import Tally
from herald_server.unread import Backlog

BURST_S = 1.0
"""Seconds of CPU time that may be taken at once, after a rest."""

MAX_DEBT_S = 1.0
"""Seconds of CPU time that are owed at most: the wait for others to be served."""

ENTRY_S = 0.0005
"""Seconds that a request takes before it is known whose it is."""

GRANT_S = 0.005
"""Seconds of CPU time that a debtor is given while nobody else wants them."""

MAX_ACCOUNTS = 10_000
"""Tokens and addresses that are known at once; beyond, those begin anew that
watch nothing and for whom nothing waits."""


class Account:
    """The CPU time that one token, or one address without one, may still take.

    `share` are the seconds a second that it can count on; 0 for any number. Times are
    monotonic seconds. Its subscriptions have at most `max_values` (0: any number).
    """

    __slots__ = (
        *("_at", "_left", "backlog", "connections", "max_values"),
        *("queue", "share", "values", "waiting"),
    )

    def __init__(
        self, share: float, max_values: int = 0, tally: Tally | None = None
    ) -> None:
        self.share = share
        self.backlog = Backlog(tally)
        """What waits unread on all its connections."""
        self.queue = asyncio.Lock()
        """Held by the one whose turn comes next."""
        self.waiting = 0
        self.connections = 0
        """Its WebSockets and event streams."""
        self.values = 0
        """Values in the filters of all its subscriptions."""
        self.max_values = max_values
        self._left = BURST_S
        self._at = 0.0

    def charge(self, seconds: float, now: float) -> None:
        """Take `seconds` of CPU time off it."""
        self._refill(now)
        self._left = max(self._left - seconds, -MAX_DEBT_S)

    def debt(self, now: float) -> float:
        """Return the seconds of CPU time that it took beyond what it may; 0 if none."""
        if not self.share:
            return 0.0
        self._refill(now)
        return max(-self._left, 0.0)

    def has_room(self, more: int) -> bool:
        """Return True if its subscriptions may have so many `more` values."""
        return not self.max_values or self.values + more <= self.max_values

    @property
    def holds(self) -> bool:
        """Whether anything is watched by it, or waits for it."""
        return bool(self.connections or self.values or self.backlog.total)

    def grant(self) -> None:
        """Forgive the debt, and give it a little: nobody else wants the time."""
        self._left = max(self._left, GRANT_S)

    def _refill(self, now: float) -> None:
        more = max(now - self._at, 0.0) * self.share
        self._left = min(self._left + more, BURST_S)
        self._at = now


def weight_of(values: int) -> int:
    """Return what a filter of so many values counts for: one without any counts too."""
    return max(values, 1)


class Accounts:
    """The accounts of one process. Shares and `max_values` are those of `Account`."""

    def __init__(
        self,
        per_token: float = 0.0,
        per_address: float = 0.0,
        max_values: int = 0,
        tally: Tally | None = None,
    ) -> None:
        self._tally = tally or Tally()
        self._per_token = per_token
        self._per_address = per_address
        self._max_values = max_values
        self._known: dict[tuple[str, str], Account] = {}

    def by_token(self, who: Identity) -> Account:
        """Return the account of the token of `who`, and of those it has minted."""
        return self._account("token", who.payer, self._per_token)

    def by_address(self, address: str) -> Account:
        """Return the account of all at `address` that have given no valid token."""
        return self._account("address", address, self._per_address)

    def _account(self, kind: str, name: str, share: float) -> Account:
        found = self._known.get((kind, name))
        if found is None:
            if len(self._known) >= MAX_ACCOUNTS:
                self._forget_idle()
            found = self._known[kind, name] = Account(
                share, self._max_values, self._tally
            )
        return found

    def _forget_idle(self) -> None:
        self._known = {k: one for k, one in self._known.items() if one.holds}
