"""How much a caller may start: not too many a minute.

Every process counts for itself; behind `--workers N` a token may start up to N
times as many.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from herald_monitor.errors import HeraldError
from herald_server import caller
from herald_server.auth import Identity
from herald_server.limits import Allowance, Tally

MOST_KNOWN = 10_000
"""Callers and names that are counted at once; beyond, counting begins anew."""

UNLIMITED = 0

MINTS = 120
"""Tokens that one token may mint and revoke in a minute."""


class TooMany(HeraldError):
    """Too many starts in a minute. `wait` is in seconds."""

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(message)
        self.wait = wait


class Permits:
    """Permits starts: `per_token` and `per_type` a minute, 0 for any number."""

    def __init__(
        self,
        per_token: int = UNLIMITED,
        per_type: int = UNLIMITED,
        tally: Tally | None = None,
    ) -> None:
        self._per_token = per_token
        self._per_type = per_type
        self._tally = tally or Tally()
        self._allowances: dict[tuple[str, str], Allowance] = {}

    def check(self, names: Sequence[str]) -> None:
        """Permit the caller so many starts of tasks of `names`. Raises `TooMany`."""
        who = caller.current()
        if who is None:
            return
        self._take("starts_token", who.root, len(names), self._per_token)
        for name, number in Counter(names).items():
            self._take("starts_type", name, number, self._per_type)

    def check_mint(self, owner: Identity) -> None:
        """Permit `owner` to mint or revoke a token. Raises `TooMany`."""
        self._take("mints", owner.root, 1, MINTS)

    def _take(self, kind: str, name: str, number: int, most: int) -> None:
        if most == UNLIMITED:
            return
        if len(self._allowances) >= MOST_KNOWN:
            self._allowances.clear()
        known = self._allowances
        allowance = known.setdefault((kind, name), Allowance(most, most / 60))
        wait = allowance.wait(number, time.monotonic())
        if wait == 0.0:
            return
        self._tally.refuse(kind)
        of = f"tasks named {name}" if kind == "starts_type" else "this token"
        what = "tokens" if kind == "mints" else "starts"
        if number > most:
            raise TooMany(f"{number} {what} at once are over the {most} of {of}", 60)
        seconds = max(round(wait), 1)
        raise TooMany(f"over {most} {what} a minute of {of}; wait {seconds} s", seconds)
