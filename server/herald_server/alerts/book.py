"""The alerts as every interface shows them, and the test of their receivers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.alerts.alert import (
    ALERT_KIND,
    FIRED,
    FIRING,
    SEVERITIES,
    AlertNotice,
    Condition,
    make_alert_id,
)
from herald_core.model.alerts.lifecycle import fire, resolve
from herald_core.model.alerts.update import AlertStep, make_update
from herald_core.model.documents import Document
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from herald_server.alerts.apprise_sender import send_text
from herald_server.alerts.delivery_records import (
    RECORD_KIND,
    RECORD_TTL_S,
    DeliveryRecord,
    make_record_key,
)
from herald_server.alerts.receivers import (
    AlertReceiver,
    AlertSettings,
    list_receiver_names,
)
from herald_server.alerts.silences import SilenceBook, to_silence_view
from herald_server.alerts.text import compose_text
from herald_server.auth.audit import AuditLog
from herald_server.auth.request_context import get_identity

TEST_RULE = "test"
TEST_TITLE = "This is a test of Herald's alerts"


class AlertBook:
    """Reads alerts and tests receivers.

    Its methods raise `StoreError`, and `ScopedTokenRefused` for narrow tokens.
    """

    def __init__(self, store: Store, settings: AlertSettings, audit: AuditLog) -> None:
        self._store = store
        self._settings = settings
        self._audit = audit
        self.silences = SilenceBook(store, audit)

    async def read_all(self) -> dict[str, Any]:
        """Return all alerts, those that fire first, with rules and silences."""
        documents = await self._store.list_documents(ALERT_KIND)
        silences = await self.silences.list_silences(time.time())
        records = await self._read_records()
        views = sort_urgent_first(to_alert_view(one, records) for one in documents)
        return {
            "alerts": views,
            "firing": sum(view["state"] == FIRING for view in views),
            "silences": [to_silence_view(one) for one in silences],
            "receivers": [one.name for one in self._settings.receivers],
            "rules": [msgspec.to_builtins(one) for one in self._settings.rules],
        }

    async def _read_records(self) -> dict[str, DeliveryRecord]:
        if not self._settings.receivers:
            return {}
        stored = await self._store.get_items(RECORD_KIND)
        return {
            key: msgspec.json.decode(text, type=DeliveryRecord)
            for key, text in stored.items()
        }

    async def test(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Send a test to all receivers, or to the named one, and say what came of it.

        Without a name, webhooks with `on = ["alert"]` get one as well.
        """
        receivers = self._select_receivers(given)
        notice = AlertNotice(
            "test", FIRED, to_rfc3339(time.time()), TEST_TITLE, _make_message(), "info"
        )
        text = compose_text([notice], False)
        results = [
            {"receiver": one.name, "error": await send_text(one, text)}
            for one in receivers
        ]
        if "receiver" not in given:
            await self._publish_test()
        await self._audit.record("test_alerts", list_receiver_names(receivers))
        return {"results": results, "message": _describe_results(results)}

    def _select_receivers(self, given: Mapping[str, object]) -> Sequence[AlertReceiver]:
        if unknown := sorted(given.keys() - {"receiver"}):
            raise InvalidInput(f"unknown key {unknown[0][:40]!r}; it takes receiver")
        known = self._settings.receivers
        if "receiver" not in given:
            return known
        found = [one for one in known if one.name == given["receiver"]]
        if not found:
            raise InvalidInput(
                f"there is no receiver {str(given['receiver'])[:60]!r}; there are:"
                f" {list_receiver_names(known)}",
                "receiver",
            )
        return found

    async def _publish_test(self) -> None:
        """Store a test that fires and ends, for webhooks and for the topic `alerts`."""
        now = time.time()
        condition = Condition(
            rule=TEST_RULE,
            subject=TEST_RULE,
            title=TEST_TITLE,
            message=_make_message(),
            severity="info",
            since=now,
        )
        await self._write(lambda known: fire(known, condition, None, None, now))
        await self._write(lambda known: resolve(known, now) if known else None)

    async def _write(self, step: AlertStep) -> None:
        id_ = make_alert_id(TEST_RULE, TEST_RULE)
        await self._store.update_documents(
            ALERT_KIND,
            {id_: make_update(id_, step)},
            now=time.time(),
            seconds=RECORD_TTL_S,
        )


def _make_message() -> str:
    who = get_identity()
    return f"sent by {who.name if who else 'herald'}"


def _describe_results(results: Sequence[Mapping[str, str]]) -> str:
    if not results:
        return (
            "No receiver is set up: add [alerts.receivers.NAME] to the herald.toml."
            ' Webhooks with on = ["alert"] were sent a test.'
        )
    failed = [one["receiver"] for one in results if one["error"]]
    if failed:
        return f"Not reached: {', '.join(failed)}."
    return f"All of {len(results)} receivers accepted the test."


def to_alert_view(
    document: Document, records: Mapping[str, DeliveryRecord]
) -> dict[str, Any]:
    """Return an alert as JSON, with what became of its newest notice."""
    view = document.to_view()
    notices = view.get("notices") or ()
    if notices:
        prefix = make_record_key(notices[-1]["id"], "")
        sent = {
            key.removeprefix(prefix): record.error or record.state
            for key, record in records.items()
            if key.startswith(prefix)
        }
        view = {**view, "sent": sent} if sent else view
    return view


def sort_urgent_first(views: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return alerts that fire first, by severity; then the newest. Pure."""
    newest = sorted(views, key=lambda one: str(one["fired_at"]), reverse=True)
    return sorted(
        newest,
        key=lambda one: (one["state"] != FIRING, -SEVERITIES.index(one["severity"])),
    )
