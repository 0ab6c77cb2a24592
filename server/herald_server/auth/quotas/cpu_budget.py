"""CPU time budget of each token, whatever the number of its connections.

The cost of a request is known only afterwards, so an account can be in debt; then its
next work waits (`waiting_turns.py`). Pushing changes to subscribers is not charged: it
is the purpose of the server.
"""

from __future__ import annotations

import asyncio

from herald_server.auth.identity import Identity
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.unread_bytes import TokenBacklog

BURST_S = 1.0
"""Seconds of CPU time that can be used at once after an idle time."""

MAX_DEBT_S = 1.0
"""Seconds of CPU time that are owed at most: the wait for others to be served."""

REQUEST_COST_S = 0.0005
"""Seconds charged for a request before its caller is known."""

GRANT_SIZE_S = 0.005
"""Seconds of CPU time granted to an account in debt while no other needs them."""

MAX_ACCOUNTS = 10_000
"""Maximum number of accounts. Beyond it, accounts without subscriptions and waiting
requests are reset."""


class Account:
    """CPU time budget of one token, or of one address without a token.

    `share` is the guaranteed CPU time in seconds per second; 0 for unlimited. Times are
    monotonic seconds. Its subscriptions have at most `max_values` filter values (0:
    unlimited).
    """

    __slots__ = (
        *("_at", "_left", "backlog", "connections", "max_values"),
        *("queue", "share", "values", "waiting"),
    )

    def __init__(
        self, share: float, max_values: int = 0, metrics: PushMetrics | None = None
    ) -> None:
        self.share = share
        self.backlog = TokenBacklog(metrics)
        """What waits unread on all its connections."""
        self.queue = asyncio.Lock()
        """Held by the request whose turn is next."""
        self.waiting = 0
        self.connections = 0
        """Its WebSockets and event streams."""
        self.values = 0
        """Values in the filters of all its subscriptions."""
        self.max_values = max_values
        self._left = BURST_S
        self._at = 0.0

    def charge(self, seconds: float, now: float) -> None:
        """Subtract `seconds` of CPU time."""
        self._refill(now)
        self._left = max(self._left - seconds, -MAX_DEBT_S)

    def compute_debt(self, now: float) -> float:
        """Return the CPU time in seconds beyond the budget; 0 if there is none."""
        if not self.share:
            return 0.0
        self._refill(now)
        return max(-self._left, 0.0)

    def can_add_values(self, more: int) -> bool:
        """Return True if its subscriptions may have `more` filter values."""
        return not self.max_values or self.values + more <= self.max_values

    @property
    def is_in_use(self) -> bool:
        """Whether it has connections, subscriptions or unread bytes."""
        return bool(self.connections or self.values or self.backlog.total)

    def forgive(self) -> None:
        """Cancel the debt and grant a small budget: no other account needs the time."""
        self._left = max(self._left, GRANT_SIZE_S)

    def _refill(self, now: float) -> None:
        more = max(now - self._at, 0.0) * self.share
        self._left = min(self._left + more, BURST_S)
        self._at = now


def count_values(values: int) -> int:
    """Return the number of values that a filter counts for: at least one."""
    return max(values, 1)


class AccountRegistry:
    """The accounts of one process. `per_token`, `per_address` are
    shares of `Account`."""

    def __init__(
        self,
        per_token: float = 0.0,
        per_address: float = 0.0,
        max_values: int = 0,
        metrics: PushMetrics | None = None,
    ) -> None:
        self._metrics = metrics or PushMetrics()
        self._per_token = per_token
        self._per_address = per_address
        self._max_values = max_values
        self._accounts: dict[tuple[str, str], Account] = {}

    def for_identity(self, who: Identity) -> Account:
        """Return the account of the token of `who` and of the tokens it has minted."""
        return self._get_account("token", who.payer_token, self._per_token)

    def for_address(self, address: str) -> Account:
        """Return the account of the requests from `address` without a valid token."""
        return self._get_account("address", address, self._per_address)

    def _get_account(self, kind: str, name: str, share: float) -> Account:
        found = self._accounts.get((kind, name))
        if found is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._forget_idle()
            found = self._accounts[kind, name] = Account(
                share, self._max_values, self._metrics
            )
        return found

    def _forget_idle(self) -> None:
        self._accounts = {k: one for k, one in self._accounts.items() if one.is_in_use}
