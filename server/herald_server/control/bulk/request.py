"""Parse the request of a bulk order: one grammar for all interfaces. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.events.event import to_finite
from herald_server.control.bulk.order import ACTIONS, CANCEL
from herald_server.control.bulk.selection import (
    SELECTION_KEYS,
    Selection,
    parse_selection,
)

OPTION_KEYS: Final = (
    "action",
    "per_second",
    "spread_seconds",
    "include_rerun",
    "queue",
    "expect",
    "idempotency_key",
)
KEYS: Final = (*SELECTION_KEYS, *OPTION_KEYS)

MAX_SPREAD_S: Final = 86_400.0
MAX_CANCELLED: Final = 20_000
"""Tasks that one order cancels: a worker keeps 50,000 cancelled ids (Celery's
`REVOKES_MAX`) and forgets the first ones beyond."""


class BulkLimits(msgspec.Struct, frozen=True):
    """Limits of bulk orders. Rates are in tasks a second."""

    max_tasks: int = 100_000
    admin_above: int = 1_000
    per_second: float = 300.0
    max_per_second: float = 1_000.0


class BulkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A requested order. Without `expect` a preview of it is made.

    `spread_seconds` spreads the tasks evenly over that time.
    """

    action: str
    selection: Selection
    per_second: float
    spread_seconds: float | None = None
    include_rerun: bool = False
    queue: str | None = None
    expect: int | None = None
    idempotency_key: str | None = None

    def compute_rate(self, count: int) -> float:
        """Return the tasks a second of an order of `count` tasks."""
        if not self.spread_seconds:
            return self.per_second
        return min(max(count / self.spread_seconds, 0.01), self.per_second)


def parse_request(
    given: Mapping[str, object], limits: BulkLimits, now: float
) -> BulkRequest:
    """Return the order in `given`; None values are ignored. Raises `InvalidInput`."""
    fields = {key: value for key, value in given.items() if value is not None}
    unknown = sorted(fields.keys() - set(KEYS))
    if unknown:
        raise InvalidInput(
            f"unknown key {unknown[0][:40]!r}; keys are {', '.join(KEYS)}", unknown[0]
        )
    action = fields.get("action")
    if action not in ACTIONS:
        raise InvalidInput(f"action must be {' or '.join(ACTIONS)}", "action")
    limit = limits.max_tasks
    if action == CANCEL:
        limit = min(limit, MAX_CANCELLED)
    default = limits.max_per_second if action == CANCEL else limits.per_second
    rate = _parse_number(fields, "per_second", limits.max_per_second)
    return BulkRequest(
        action=str(action),
        selection=parse_selection(fields, str(action), limit, now),
        per_second=rate or default,
        spread_seconds=_parse_number(fields, "spread_seconds", MAX_SPREAD_S),
        include_rerun=_parse_flag(fields.get("include_rerun", False)),
        queue=_parse_text(fields, "queue"),
        expect=_parse_expect(fields.get("expect")),
        idempotency_key=_parse_text(fields, "idempotency_key"),
    )


def _parse_number(fields: Mapping[str, object], key: str, most: float) -> float | None:
    if key not in fields:
        return None
    value = to_finite(fields[key])
    if value is None or isinstance(fields[key], bool) or not 0.01 <= value <= most:
        raise InvalidInput(f"{key} must be a number from 0.01 to {most:g}", key)
    return value


def _parse_flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise InvalidInput("include_rerun must be true or false", "include_rerun")
    return given


def _parse_text(fields: Mapping[str, object], key: str) -> str | None:
    given = fields.get(key)
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= 255:
        raise InvalidInput(f"{key} must be a text of 1 to 255 characters", key)
    return given


def _parse_expect(given: object) -> int | None:
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise InvalidInput(
            "expect must be the number of tasks in the preview, as a whole number",
            "expect",
        )
    return given
