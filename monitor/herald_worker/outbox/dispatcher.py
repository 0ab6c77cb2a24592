"""Celery's dispatcher of events, with the outbox in its place or beside it.

All events go to the outbox, also without `-E` and while the connection to the broker
is away. Published are those that Celery itself would publish, but for events of tasks:
those only with `HERALD_OUTBOX_ALSO_PUBLISH`. Events of workers are published always,
since workers listen to each other (gossip), and so are those of other groups.
"""

from __future__ import annotations

import logging
from typing import Any, cast

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from celery.events.event import Event as make_event
from celery.events.event import group_from
from celery.utils.time import utcoffset

from herald_worker.outbox.extras import add_extras
from herald_worker.outbox.lookup import get_outbox
from herald_worker.outbox.outbox import Outbox

logger = logging.getLogger(__name__)

SENT = "task-sent"


class OutboxDispatcher(EventDispatcher):
    """Records events in the outbox of its app; without one it is Celery's own."""

    clock: Any
    pid: int
    _outbox: Outbox | None = None
    _is_publishing = False
    _is_disabled = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._outbox = get_outbox(self.app)

    @property
    def enabled(self) -> bool:
        """Whether `send` does anything: always, if there is an outbox."""
        return self._outbox is not None or self._is_publishing

    @enabled.setter
    def enabled(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._is_publishing = bool(value)

    def enable(self) -> None:
        self._is_disabled = False
        super().enable()

    def disable(self) -> None:
        self._is_disabled = True
        super().disable()

    def send(
        self,
        type: str,
        blind: bool = False,
        utcoffset: Any = utcoffset,
        retry: bool = False,
        retry_policy: Any = None,
        Event: Any = make_event,
        **fields: Any,
    ) -> Any:
        """Record an event; publish it if Celery would, see above."""
        options: dict[str, Any] = {"retry": retry, "retry_policy": retry_policy}
        options["utcoffset"] = utcoffset
        event = self._record(type, fields, blind, Event)
        if event is None:
            return super().send(type, blind, Event=Event, **options, **fields)
        if self._is_publishing and self._is_published(type):
            return super().send(type, True, Event=lambda *_, **__: event, **options)
        return None

    def publish(
        self,
        type: str,
        fields: dict[str, Any],
        producer: Any,
        blind: bool = False,
        Event: Any = make_event,
        **options: Any,
    ) -> Any:
        """Record an event; publish it by `producer` if Celery would."""
        event = self._record(type, fields, blind, Event)
        if event is None:
            return super().publish(type, fields, producer, blind, Event, **options)
        if self._is_published(type):
            return super().publish(
                type, {}, producer, True, lambda *_, **__: event, **options
            )
        return None

    def _record(
        self, kind: str, fields: dict[str, Any], blind: bool, make: Any
    ) -> dict[str, Any] | None:
        """Return the event that is recorded; None if it is up to Celery alone."""
        if self._outbox is None:
            return None
        try:
            event = self._make_event(kind, fields, blind, make)
            self._put(self._outbox, kind, event)
        except Exception:
            # No task fails for the sake of its events.
            logger.exception("Herald's outbox cannot record an event")
            return None
        return event

    def _make_event(
        self, kind: str, fields: dict[str, Any], blind: bool, make: Any
    ) -> dict[str, Any]:
        """Return an event as Celery's dispatcher makes it."""
        clock = None if blind else self.clock.forward()
        event: dict[str, Any] = make(
            kind,
            hostname=self.hostname,
            utcoffset=utcoffset(),
            pid=self.pid,
            clock=clock,
            **fields,
        )
        return event

    def _put(self, outbox: Outbox, kind: str, event: dict[str, Any]) -> None:
        if kind.startswith("worker-"):
            # Once disabled, Celery's own heart says that the worker is offline.
            if not self._is_disabled:
                outbox.put({**event, **outbox.worker_fields})
        else:
            outbox.put(add_extras(kind, event))

    def _is_published(self, kind: str) -> bool:
        outbox = self._outbox
        if outbox is None or group_from(kind) != "task":
            return True
        return outbox.settings.also_publish and (kind != SENT or outbox.publishes_sent)


class OutboxEvents(Events):
    """What `app.events` is of an app with an outbox."""

    dispatcher_cls = f"{__name__}:OutboxDispatcher"


def replace_events(app: Any) -> None:
    """Let `app` use the dispatcher above, also if it has used another one."""
    app.events_cls = f"{__name__}:OutboxEvents"
    app.__dict__.pop("events", None)
    amqp = app.__dict__.get("amqp")
    if amqp is not None:
        # They hold the dispatcher that was there when the first task was sent.
        cast(dict[str, Any], amqp.__dict__).pop("_event_dispatcher", None)
        cast(dict[str, Any], amqp.__dict__).pop("send_task_message", None)
