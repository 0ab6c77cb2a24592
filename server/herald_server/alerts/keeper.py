"""Keep the documents of alerts up to date: topic `alerts`.

One server process does so at a time, by a lease; it also sends the notices. A
transition and the notice about it are stored in one step, so whoever takes over sends
what its predecessor could not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from herald_core.errors import StoreError
from herald_core.model.alerts.alert import (
    ALERT_KIND,
    FIRING,
    Alert,
    Condition,
    from_document_data,
)
from herald_core.model.alerts.lifecycle import find_due, fire, resolve
from herald_core.model.alerts.silence import Silence, find_silence
from herald_core.model.alerts.update import AlertStep, make_update
from herald_core.model.changes import LogEntry
from herald_core.model.documents import MAX_DOCUMENT_TTL_S, DocumentUpdate
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_server.alerts.conditions import Judgement, judge
from herald_server.alerts.delivery import AlertSender
from herald_server.alerts.facts import BLIND_PARTS, PARTS
from herald_server.alerts.facts_reader import (
    WEBHOOK_INTERVAL_S,
    FactsReader,
    PartSchedule,
    list_changed_parts,
)
from herald_server.alerts.receivers import AlertSettings
from herald_server.alerts.rules import AlertRule
from herald_server.alerts.silences import SilenceBook
from herald_server.push.log.hub import Hub

log = logging.getLogger(__name__)

LEASE_NAME = "alerts"

WAKE_INTERVAL_S = 1.0
"""Seconds after which the lease is looked at, in memory, if nothing happens."""

MIN_PAUSE_S = 0.2
"""Seconds between two looks at what happened."""

RETRY_PAUSE_S = 2.0
REFRESH_INTERVAL_S = 3_600.0
"""Seconds after which the lifetime of firing alerts is prolonged."""


class AlertKeeper:
    """Fires and resolves alerts while this process holds the lease."""

    def __init__(
        self,
        settings: AlertSettings,
        store: Store,
        hub: Hub,
        reader: FactsReader,
        silences: SilenceBook,
        sender: AlertSender,
        owner: str,
        count_resets: Callable[[], int] = lambda: 0,
    ) -> None:
        self._rules = {rule.name: rule for rule in settings.list_enabled()}
        self._store = store
        self._hub = hub
        self._reader = reader
        self._silences = silences
        self._sender = sender
        self._count_resets = count_resets
        self._lease = Lease(store, LEASE_NAME, owner)
        self._schedule = PartSchedule({PARTS[r.kind] for r in self._rules.values()})
        self._wake_event = asyncio.Event()
        self._first_seen: Mapping[str, float] = {}
        self._absent_since: dict[str, float] = {}
        self._alerts: dict[str, Alert] | None = None
        """The stored alerts; None while this process does not hold the lease."""
        self._resets = 0
        self._refreshed_at = 0.0
        self._due: float | None = None
        self._is_outdated = False
        """Whether the stored alerts are others than the known ones."""

    @property
    def is_leader(self) -> bool:
        """True if this process keeps the alerts now."""
        return self._lease.is_held

    @property
    def is_blind(self) -> bool:
        """True if the monitors receive nothing."""
        return self._reader.find_staleness() is not None

    def wake(self) -> None:
        """Look at the status: it may have changed."""
        self._schedule.mark_changed("status", time.time())
        self._wake_event.set()

    async def run(self) -> None:
        """Run until cancelled."""
        stop = self._hub.add_listener(self._follow)
        try:
            async with self._lease:
                while True:
                    await self._check_safely()
                    await asyncio.sleep(MIN_PAUSE_S)
                    await self._wait()
        finally:
            stop()
            await self._sender.close()

    def _follow(self, entry: LogEntry) -> None:
        """Note which facts an entry of the log may change."""
        if not entry.changes or self._alerts is None:
            return
        now = time.time()
        reader = self._reader
        for part in list_changed_parts(entry, reader.running_ids, reader.silent_ids):
            self._schedule.mark_changed(part, now)
        if any(change.kind == ALERT_KIND for change in entry.changes):
            # Another process silenced one.
            self._is_outdated, self._due = True, now
        self._wake_event.set()

    async def _wait(self) -> None:
        moments = (self._schedule.find_next(), self._due, self._sender.find_due())
        due = min((at for at in moments if at is not None), default=None)
        pause = WAKE_INTERVAL_S if due is None else due - time.time()
        try:
            async with asyncio.timeout(min(max(pause, 0.0), WAKE_INTERVAL_S)):
                await self._wake_event.wait()
        except TimeoutError:
            pass
        self._wake_event.clear()

    async def _check_safely(self) -> None:
        if not self._lease.is_held:
            self._alerts = None
            return
        try:
            await self._check(time.time())
        except StoreError as error:
            log.debug("alerts are looked at later: %s", error)
            await asyncio.sleep(RETRY_PAUSE_S)
        except Exception:  # or none would be raised any more
            log.exception("alerts are looked at later")
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _check(self, now: float) -> None:
        if self._alerts is None or self._resets != self._count_resets():
            await self._start_over()
        if self._is_outdated:
            await self._load_alerts()
        parts = self._schedule.take_due(now)
        try:
            await self._reader.read(parts)
        except StoreError:
            for part in parts:
                self._schedule.mark_due(part, now)
            raise
        if parts or (self._due is not None and self._due <= now):
            await self._judge(now)
        if self._alerts is not None:
            await self._sender.send(self._alerts.values(), now)

    async def _start_over(self) -> None:
        """Read all that is stored: another process wrote it, or the log broke off."""
        self._resets = self._count_resets()
        self._absent_since = {}
        self._schedule.mark_all()
        await self._sender.load()
        await self._load_alerts()

    async def _load_alerts(self) -> None:
        self._is_outdated = False
        documents = await self._store.list_documents(ALERT_KIND)
        found: dict[str, Alert] = {}
        for one in documents:
            try:
                found[one.id] = from_document_data(one.id, one.data)
            except msgspec.ValidationError as error:
                log.warning("the alert %s cannot be read: %s", one.id, error)
        self._alerts = found

    # -- transitions -----------------------------------------------------------------

    async def _judge(self, now: float) -> None:
        judgement = judge(self._list_rules(), self._reader.facts, self._first_seen, now)
        if self.is_blind:
            self._first_seen = {**self._first_seen, **judgement.first_seen}
        else:
            self._first_seen = judgement.first_seen
        self._plan_reads(judgement, now)
        silences = await self._silences.list_silences(now)
        await self._write(self._list_updates(judgement.conditions, silences, now), now)
        self._due = self._find_due(now)

    def _list_rules(self) -> list[AlertRule]:
        """Return the rules that can be judged now."""
        rules = self._rules.values()
        return [one for one in rules if self._can_judge(one)]

    def _can_judge(self, rule: AlertRule) -> bool:
        return not self.is_blind or PARTS[rule.kind] in BLIND_PARTS

    def _plan_reads(self, judgement: Judgement, now: float) -> None:
        for part, at in judgement.due.items():
            self._schedule.mark_due(part, max(at, now + MIN_PAUSE_S))
        if any(PARTS[rule.kind] == "webhooks" for rule in self._rules.values()):
            self._schedule.mark_due("webhooks", now + WEBHOOK_INTERVAL_S)

    def _list_updates(
        self,
        conditions: Mapping[str, Condition],
        silences: list[Silence],
        now: float,
    ) -> dict[str, DocumentUpdate]:
        """Return the updates of alerts that begin, change or end."""
        alerts = self._alerts or {}
        updates: dict[str, DocumentUpdate] = {}
        for id_, condition in conditions.items():
            self._absent_since.pop(id_, None)
            rule = self._rules[condition.rule]
            silence = find_silence(silences, rule.name, condition.subject, now)
            step = _make_fire(condition, silence, rule.repeat, now)
            if step(alerts.get(id_)) != alerts.get(id_):
                updates[id_] = make_update(id_, step)
        for id_, alert in alerts.items():
            if alert.state == FIRING and id_ not in conditions:
                updates |= self._resolve_if_gone(alert, now)
        return updates

    def _resolve_if_gone(self, alert: Alert, now: float) -> dict[str, DocumentUpdate]:
        rule = self._rules.get(alert.rule)
        if rule is not None and not self._can_judge(rule):
            return {}
        since = self._absent_since.setdefault(alert.id, now)
        if rule is not None and now < since + rule.resolve_after:
            return {}
        return {alert.id: make_update(alert.id, lambda known: _end(known, now))}

    async def _write(self, updates: dict[str, DocumentUpdate], now: float) -> None:
        if now - self._refreshed_at >= REFRESH_INTERVAL_S:
            self._refreshed_at = now
            for id_, alert in (self._alerts or {}).items():
                if alert.state == FIRING:
                    updates.setdefault(id_, make_update(id_, lambda known: known))
        if not updates:
            return
        await self._store.update_documents(
            ALERT_KIND, updates, now=now, seconds=MAX_DOCUMENT_TTL_S
        )
        await self._load_alerts()

    def _find_due(self, now: float) -> float | None:
        """Return when an alert changes by itself."""
        moments: list[float] = []
        for id_, alert in (self._alerts or {}).items():
            rule = self._rules.get(alert.rule)
            if alert.state != FIRING or rule is None:
                continue
            due = find_due(alert, rule.repeat)
            moments += [] if due is None else [due]
            if id_ in self._absent_since:
                moments.append(self._absent_since[id_] + rule.resolve_after)
        return min((max(at, now + MIN_PAUSE_S) for at in moments), default=None)


def _make_fire(
    condition: Condition, silence: Silence | None, repeat_s: float | None, now: float
) -> AlertStep:
    return lambda known: fire(known, condition, silence, repeat_s, now)


def _end(known: Alert | None, now: float) -> Alert | None:
    return None if known is None else resolve(known, now)
