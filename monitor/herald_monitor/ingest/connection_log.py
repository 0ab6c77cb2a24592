"""Why no events arrive: for health, and in the log once and not once a try."""

from __future__ import annotations

import logging

from celery import Celery

from herald_core.system.error_sentences import describe_briefly
from herald_monitor.celery_client.broker.connection import get_broker_name

logger = logging.getLogger(__name__)


class ConnectionLog:
    """The trouble of a connection to the broker of `app`."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self.trouble = ""
        """Why the stream is cut; empty while it is not."""
        self._logged = ""
        self._has_warned = False

    def describe_problem(self) -> str:
        """Return why no events arrive, as a sentence; empty without trouble."""
        if not self.trouble:
            return ""
        return f"no events arrive from {get_broker_name(self._app)}: {self.trouble}"

    def record_error(self, error: Exception) -> None:
        """Record that the connection broke, or could not be made."""
        if self.trouble:
            return
        self.trouble = describe_briefly(error, "HERALD_BROKER_URL")
        is_new = self.trouble != self._logged
        self._logged = self.trouble
        logger.log(
            logging.WARNING if is_new else logging.DEBUG,
            "Cannot receive events from %s (%s); retrying until it works.",
            get_broker_name(self._app),
            self.trouble,
        )

    def record_connect(self) -> None:
        """Record that events are received."""
        if self._logged:
            logger.info("Receiving events from %s again.", get_broker_name(self._app))
        self.trouble = ""

    def record_steady(self) -> None:
        """Record that the connection works: the next error is logged again."""
        self._logged = ""

    def record_wait(self, reason: str) -> None:
        """Record that another monitor reads the queue."""
        if self._logged != reason:
            self._logged = reason
            logger.info("%s.", reason)

    def warn_not_durable(self) -> None:
        """Log once that the broker cannot keep events."""
        if self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "The broker %s cannot keep events for a monitor that is away, so"
            " HERALD_DURABLE_EVENTS changes nothing there; after each gap Herald"
            " asks the result backend and the workers instead.",
            get_broker_name(self._app),
        )
