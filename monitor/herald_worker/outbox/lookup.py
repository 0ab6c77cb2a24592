"""Finds the outbox of an app, without importing anything for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from herald_worker.outbox.outbox import Outbox

OUTBOX = "_herald_outbox"
"""The attribute of an app that holds its outbox."""


def get_outbox(app: object) -> Outbox | None:
    """Return the outbox of an app; None if it has none, or no Redis for it."""
    return cast("Outbox | None", getattr(app, OUTBOX, None))
