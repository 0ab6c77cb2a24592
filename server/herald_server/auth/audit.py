"""Audit log: started, cancelled, retried, minted, revoked and registered.

Records contain no arguments and no tokens. Each is a JSON line in HERALD_AUDIT_LOG (a
path, or `-` for standard error); the newest are in the store for `GET /api/v1/audit`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import msgspec

from herald_core.errors import StoreError
from herald_core.model.codec import to_json
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.key_value import KeyValueStore
from herald_server.auth import request_context

log = logging.getLogger(__name__)

KEY_KIND = "audit"
MAX_RECORDS = 1_000
"""Orders that the store keeps, the newest."""

RETENTION_S = 30 * 86_400.0
MAX_TARGET_CHARS = 512
STDERR = "-"


class AuditRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record. `what` is the action, such as `start`; `target` is its object.

    `count` is the number of tasks, where one action applies to several.
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


class AuditLog:
    """Writes records to `notes`, and to the file or stream `to` if one is given."""

    def __init__(
        self, notes: KeyValueStore, to: str | None = None, node: str = ""
    ) -> None:
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
        """Record an action of the current caller.

        Raises nothing: the action has been carried out already.
        """
        by = request_context.get_request_context()
        order = AuditRecord(
            at=to_rfc3339(time.time()),
            who=by.identity.name if by else "herald",
            what=what,
            target=target[:MAX_TARGET_CHARS],
            name=name[:MAX_TARGET_CHARS],
            outcome=outcome,
            count=count,
            address=by.address if by else "",
            node=self._node,
        )
        line = to_json(order)
        self._write(line)
        try:
            await self._notes.push_line(KEY_KIND, line, MAX_RECORDS, RETENTION_S)
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
            # Opened each time, so that the file can be rotated.
            how = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            place = os.open(Path(self._to), how, 0o600)
            try:
                os.write(place, line + b"\n")
            finally:
                os.close(place)
        except OSError as error:
            log.error("the audit log %s cannot be written: %s", self._to, error)

    async def list_newest(self, limit: int) -> list[AuditRecord]:
        """Return the newest records, newest first. Raises `StoreError`."""
        lines = await self._notes.read_lines(KEY_KIND, limit)
        return [msgspec.json.decode(line, type=AuditRecord) for line in lines]
