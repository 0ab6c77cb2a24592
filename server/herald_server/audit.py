"""Who ordered what: started, cancelled, retried, minted, revoked, registered.

Never with what: no arguments, no tokens. Each order is a JSON line in
HERALD_AUDIT_LOG (a path, or `-` for standard error), and the newest ones are kept in
the store for `GET /api/v1/audit`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import rfc3339
from herald_monitor.notes import Notes
from herald_server import caller

log = logging.getLogger(__name__)

KIND = "audit"
KEPT = 1_000
"""Orders that the store keeps, the newest."""

KEPT_FOR = 30 * 86_400.0
MOST_TARGET = 512
STDERR = "-"


class Order(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One order. `what` is a word such as `start`, `target` what it was given to.

    `count` tells of how many, where one order is for many tasks.
    """

    at: str
    who: str
    what: str
    target: str = ""
    name: str = ""
    outcome: str = ""
    count: int = 1
    address: str = ""
    node: str = ""


class Audit:
    """Records orders in `notes`, and in the file or stream `to` if there is one."""

    def __init__(self, notes: Notes, to: str | None = None, node: str = "") -> None:
        self._notes = notes
        self._to = to
        self._node = node

    async def record(
        self,
        what: str,
        target: str = "",
        *,
        name: str = "",
        outcome: str = "",
        count: int = 1,
    ) -> None:
        """Record an order of whoever is being served.

        Raises nothing: it has been carried out already.
        """
        by = caller.caller()
        order = Order(
            at=rfc3339(time.time()),
            who=by.who.name if by else "herald",
            what=what,
            target=target[:MOST_TARGET],
            name=name[:MOST_TARGET],
            outcome=outcome,
            count=count,
            address=by.address if by else "",
            node=self._node,
        )
        line = to_json(order)
        self._write(line)
        try:
            await self._notes.add_line(KIND, line, KEPT, KEPT_FOR)
        except StoreError as error:
            log.warning("an order is not in the store's audit log: %s", error)

    def _write(self, line: bytes) -> None:
        if self._to is None:
            return
        try:
            if self._to == STDERR:
                sys.stderr.write(line.decode() + "\n")
                sys.stderr.flush()
                return
            # Opened each time: whoever rotates the file need not tell us.
            how = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            place = os.open(Path(self._to), how, 0o600)
            try:
                os.write(place, line + b"\n")
            finally:
                os.close(place)
        except OSError as error:
            log.error("the audit log %s cannot be written: %s", self._to, error)

    async def newest(self, most: int) -> list[Order]:
        """Return the newest orders, newest first. Raises `StoreError`."""
        lines = await self._notes.lines(KIND, most)
        return [msgspec.json.decode(line, type=Order) for line in lines]
