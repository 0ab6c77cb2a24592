"""Updates of the documents of alerts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from herald_core.model.alerts.alert import Alert, from_document_data, to_document_data
from herald_core.model.documents import DocumentData, DocumentUpdate

AlertStep: TypeAlias = Callable[[Alert | None], Alert | None]
"""A pure function from the stored alert (None: not stored) to the new one.

It returns None to leave the alert as it is.
"""


def make_update(id_: str, step: AlertStep) -> DocumentUpdate:
    """Return the update of the document of an alert by `step`."""

    def update(data: Mapping[str, Any] | None) -> DocumentData | None:
        alert = step(None if data is None else from_document_data(id_, data))
        return None if alert is None else to_document_data(alert)

    return update
