"""Silences in the store, and the requests for them."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from herald_core.errors import HeraldError, InvalidInput
from herald_core.model.alerts.alert import ALERT_KIND, FIRING, Alert
from herald_core.model.alerts.lifecycle import mark_silence
from herald_core.model.alerts.silence import (
    MAX_SILENCE_S,
    MAX_SILENCES,
    SILENCE_KIND,
    Silence,
    find_silence,
)
from herald_core.model.alerts.update import AlertStep, make_update
from herald_core.model.documents import MAX_DOCUMENT_TTL_S
from herald_core.model.queries.moments import parse_duration_s
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.auth.request_context import get_identity

log = logging.getLogger(__name__)

KEYS = ("rule", "subject", "for", "comment")
MAX_TEXT_CHARS = 200


class UnknownSilence(HeraldError):
    """There is no silence with that id."""


class SilenceBook:
    """Reads and stores silences. All methods raise `StoreError`.

    The alerts that a silence concerns are marked in their documents: their change tells
    the process that sends notices.
    """

    def __init__(self, store: Store, audit: AuditLog) -> None:
        self._store = store
        self._audit = audit

    async def list_silences(self, now: float) -> list[Silence]:
        """Return the silences in force at `now` (unix seconds), by their end."""
        found: list[Silence] = []
        for id_, text in (await self._store.get_items(SILENCE_KIND)).items():
            try:
                found.append(msgspec.json.decode(text, type=Silence))
            except msgspec.DecodeError as error:
                # Written by another version of Herald: the others are returned.
                log.warning("the silence %s cannot be read: %s", id_, error)
        return sorted((s for s in found if s.until > now), key=lambda one: one.until)

    async def add(self, given: Mapping[str, object]) -> Silence:
        """Store the requested silence, and return it. Raises `InvalidInput`."""
        now = time.time()
        silence = parse_silence(given, _get_caller(), now)
        if len(await self.list_silences(now)) >= MAX_SILENCES:
            raise InvalidInput(
                f"there are {MAX_SILENCES} silences, the most there may be; delete one"
            )
        text = msgspec.json.encode(silence)
        await self._store.put_item(SILENCE_KIND, silence.id, text, silence.until - now)
        await self._mark_alerts(now)
        await self._audit.record(
            "silence_alerts", f"{silence.rule} {silence.subject}", name=silence.id
        )
        return silence

    async def delete(self, id_: str) -> None:
        """Delete a silence. Raises `UnknownSilence`."""
        if await self._store.get_item(SILENCE_KIND, id_) is None:
            raise UnknownSilence(f"there is no silence {id_[:60]!r}; list them")
        await self._store.delete_item(SILENCE_KIND, id_)
        await self._mark_alerts(time.time())
        await self._audit.record("unsilence_alerts", id_)

    async def _mark_alerts(self, now: float) -> None:
        silences = await self.list_silences(now)
        documents = await self._store.list_documents(ALERT_KIND)
        updates = {
            one.id: make_update(one.id, _make_mark(silences, now))
            for one in documents
            if one.data.get("state") == FIRING
        }
        if updates:
            await self._store.update_documents(
                ALERT_KIND, updates, now=now, seconds=MAX_DOCUMENT_TTL_S
            )


def _make_mark(silences: list[Silence], now: float) -> AlertStep:
    def mark(known: Alert | None) -> Alert | None:
        if known is None:
            return None
        silence = find_silence(silences, known.rule, known.subject, now)
        return mark_silence(known, silence)

    return mark


def parse_silence(given: Mapping[str, object], by: str, now: float) -> Silence:
    """Return the silence in a request (a JSON object). Raises `InvalidInput`."""
    if unknown := sorted(given.keys() - set(KEYS)):
        raise InvalidInput(
            f"unknown key {unknown[0][:40]!r}; it takes {', '.join(KEYS)}"
        )
    if "rule" not in given and "subject" not in given:
        raise InvalidInput(
            'name what to silence: rule, subject or both, each with * such as "queue_*"'
        )
    return Silence(
        id="si_" + secrets.token_hex(6),
        rule=_parse_text(given, "rule", "*"),
        subject=_parse_text(given, "subject", "*"),
        until=now + _parse_duration(given.get("for")),
        by=by,
        comment=_parse_text(given, "comment", ""),
    )


def to_silence_view(silence: Silence) -> dict[str, Any]:
    """Return a silence as JSON; `until` is RFC 3339."""
    return {**msgspec.to_builtins(silence), "until": to_rfc3339(silence.until)}


def _parse_text(given: Mapping[str, object], key: str, default: str) -> str:
    text = given.get(key, default)
    if (
        not isinstance(text, str)
        or (not text and key != "comment")
        or len(text) > MAX_TEXT_CHARS
        or not text.isprintable()
    ):
        raise InvalidInput(
            f"{key} must be a text of 1 to {MAX_TEXT_CHARS} printable characters", key
        )
    return text


def _parse_duration(given: object) -> float:
    seconds: float | None = None
    if isinstance(given, str):
        seconds = parse_duration_s(given)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given)
    if seconds is None or not 0 < seconds <= MAX_SILENCE_S:
        raise InvalidInput(
            'for must be a duration such as "2h", at most 30 days', "for"
        )
    return seconds


def _get_caller() -> str:
    who = get_identity()
    return who.name if who else "herald"
