"""Limit how many tasks a caller may start per minute.

Every process counts separately; behind `--workers N` a token may start up to N times as
many.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from herald_core.errors import HeraldError
from herald_server.auth import request_context
from herald_server.auth.identity import Identity
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.token_bucket import TokenBucket

MAX_BUCKETS = 10_000
"""Maximum number of counted callers and names. Beyond it, the counts are reset."""

UNLIMITED = 0

MAX_MINTS_PER_MINUTE = 120
"""Tokens that one token can issue or revoke in a minute."""


class QuotaExceeded(HeraldError):
    """A limit was exceeded. `wait` is in seconds."""

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(message)
        self.retry_after_s = wait


class StartLimits:
    """Limits of starts per minute: `per_token` and `per_type`; 0 for unlimited."""

    def __init__(
        self,
        per_token: int = UNLIMITED,
        per_type: int = UNLIMITED,
        metrics: PushMetrics | None = None,
    ) -> None:
        self._per_token = per_token
        self._per_type = per_type
        self._metrics = metrics or PushMetrics()
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def check(self, names: Sequence[str]) -> None:
        """Count the caller's starts of tasks of `names`. Raises `QuotaExceeded`."""
        who = request_context.get_identity()
        if who is None:
            return
        self._acquire("starts_token", who.root_token, len(names), self._per_token)
        for name, number in Counter(names).items():
            self._acquire("starts_type", name, number, self._per_type)

    def check_mint(self, owner: Identity) -> None:
        """Count that `owner` mints or revokes a token. Raises `QuotaExceeded`."""
        self._acquire("mints", owner.root_token, 1, MAX_MINTS_PER_MINUTE)

    def _acquire(self, kind: str, name: str, number: int, limit: int) -> None:
        if limit == UNLIMITED:
            return
        if len(self._buckets) >= MAX_BUCKETS:
            self._buckets.clear()
        known = self._buckets
        allowance = known.setdefault((kind, name), TokenBucket(limit, limit / 60))
        wait = allowance.acquire_or_wait(number, time.monotonic())
        if wait == 0.0:
            return
        self._metrics.count_refusal(kind)
        of = f"tasks named {name}" if kind == "starts_type" else "this token"
        what = "tokens" if kind == "mints" else "starts"
        if number > limit:
            raise QuotaExceeded(
                f"{number} {what} at once are over the {limit} of {of}", 60
            )
        seconds = max(round(wait), 1)
        raise QuotaExceeded(
            f"over {limit} {what} a minute of {of}; wait {seconds} s", seconds
        )
