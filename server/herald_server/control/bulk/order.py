"""A bulk order: what was confirmed, and how it is shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from herald_core.errors import HeraldError

RETRY: Final = "retry"
CANCEL: Final = "cancel"
ACTIONS: Final = (RETRY, CANCEL)

RUNNING: Final = "running"
DONE: Final = "done"
STOPPED: Final = "stopped"
FAILED: Final = "failed"
"""States of an order. `failed`: it could not go on, `problem` is the reason."""

SENT: Final = "sent"
RAN_AGAIN: Final = "ran_again"
NOT_RESENDABLE: Final = "not_resendable"
NOT_ENDED: Final = "not_ended"
ALREADY_ENDED: Final = "already_ended"
UNKNOWN_TYPE: Final = "unknown_type"
UNKNOWN: Final = "unknown"
REFUSED: Final = "refused"
NOT_SENT: Final = "failed"
UNCERTAIN: Final = "uncertain"
"""Outcomes of one task of an order, in addition to those of a cancel.

`uncertain`: a server process died, or the broker broke off, while the task was sent,
and nothing shows whether the broker has it. It is not sent again.
"""

ORDER_TAG: Final = "order:"
"""Prefix of the tag that reruns of an order carry."""

MAX_FAILURES: Final = 200
"""Tasks without success that an order lists, the first ones."""

KEEP_S: Final = 7 * 86_400.0
"""Seconds for which an order is stored."""

MAX_DURATION_S: Final = 2 * 86_400.0
"""Seconds that an order may take at its rate."""


class CountChanged(HeraldError):
    """The number of selected tasks is not the confirmed one; `preview` is the new."""

    def __init__(self, message: str, preview: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.preview = preview


class UnknownOrder(HeraldError):
    """No order of that id is stored, or the caller may not see it."""


class Owner(msgspec.Struct, frozen=True):
    """The caller that confirmed an order; it is carried out with these rights.

    `filters` is the token's filter as of `encode_filter_claim`; empty: all tasks.
    """

    name: str
    scopes: tuple[str, ...]
    filters: tuple[dict[str, list[str]], ...] = ()


class BulkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A confirmed order. Times are unix seconds; it never changes.

    `count` is the number of selected tasks, whose ids are stored beside it.
    `include_rerun`: also tasks that ran again already. `selection` is what was asked
    for, as it was given.
    """

    id: str
    action: str
    count: int
    owner: Owner
    created_at: float
    per_second: float
    include_rerun: bool = False
    queue: str | None = None
    selection: dict[str, Any] = {}


class TaskFailure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task of an order without success; `new_id` is the id of its rerun, if any."""

    task_id: str
    outcome: str
    reason: str
    new_id: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of one task. A `reason` makes it one that is listed."""

    kind: str
    reason: str = ""
    new_id: str | None = None
