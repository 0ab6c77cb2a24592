"""Send the reruns of one chunk, and report of each whether the broker has it.

The messages are published on a thread. A process whose lease ended meanwhile, or whose
broker does not answer in time, stops before the next message: the one that was being
published is then unconfirmed, those after it were not sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

import anyio
from anyio import to_thread
from celery.exceptions import QueueNotFound
from kombu.exceptions import EncodeError

from herald_core.errors import InvalidInput
from herald_server.control.bulk.order import NOT_SENT, REFUSED, SENT, Outcome
from herald_server.control.start.publisher import (
    TaskPublisher,
    TaskSpec,
    describe_silent_broker,
)

SEND_TIMEOUT_S: Final = 20.0
"""Seconds in which one chunk must be sent."""


class _SendLog:
    """What a thread has sent so far. Read from another thread."""

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self._may_send = may_send
        self._lock = threading.Lock()
        self._current: str | None = None
        self._is_closed = False
        self.ended: dict[str, Outcome] = {}

    def begin(self, id_: str) -> bool:
        """Return True if the task `id_` may be sent now."""
        with self._lock:
            if self._is_closed or not self._may_send():
                return False
            self._current = id_
            return True

    def finish(self, id_: str, outcome: Outcome) -> None:
        """Record the outcome of the task that was begun."""
        with self._lock:
            self._current = None
            self.ended[id_] = outcome

    def close(self) -> str | None:
        """Let nothing more begin; return the task that is being sent."""
        with self._lock:
            self._is_closed = True
            return self._current


class SendResult:
    """`outcomes` and `untouched` are by the id of the task that runs again.

    What is in neither may have been sent. `problem` is why not all was sent.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.untouched: set[str] = set()
        self.problem = ""


class ChunkSender:
    """Sends chunks of reruns through `publisher`."""

    def __init__(
        self, publisher: TaskPublisher, timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        self._publisher = publisher
        self._timeout_s = timeout_s

    async def send(
        self, specs: Mapping[str, TaskSpec], may_send: Callable[[], bool]
    ) -> SendResult:
        """Register and publish `specs` (by the id of the task that runs again).

        `may_send` is called on a thread before each message. Raises `StoreError` and
        `BrokerUnreachable` before anything is sent.
        """
        await self._publisher.register(list(specs.values()), time.time())
        sending = _SendLog(may_send)
        result = SendResult()
        try:
            with anyio.fail_after(self._timeout_s, shield=True):
                await to_thread.run_sync(
                    lambda: self._publish(specs, sending), abandon_on_cancel=True
                )
        except (Exception, TimeoutError) as error:  # any library's error
            result.problem = describe_silent_broker(self._publisher.app, error)
        finally:
            sending.close()  # also if this is cancelled: the thread goes on
        unconfirmed = sending.close()
        result.outcomes = dict(sending.ended)
        result.untouched = {*specs} - {*result.outcomes} - {unconfirmed}
        if may_send():
            # Else another process may have sent them by now.
            await self._withdraw(specs, result)
        return result

    def _publish(self, specs: Mapping[str, TaskSpec], sending: _SendLog) -> None:
        self._publisher.connect_and_send(lambda: self._send_all(specs, sending))

    def _send_all(self, specs: Mapping[str, TaskSpec], sending: _SendLog) -> None:
        for id_, spec in specs.items():
            if not sending.begin(id_):
                return
            sending.finish(id_, self._send_one(spec))

    def _send_one(self, spec: TaskSpec) -> Outcome:
        """Send one task. Raises the errors of the broker."""
        try:
            self._publisher.send_now(spec)
        except (TypeError, EncodeError, InvalidInput) as error:
            # Raised before the message is given to the broker.
            return Outcome(REFUSED, f"the task cannot be sent: {error}")
        except QueueNotFound as error:
            return Outcome(NOT_SENT, f"the app knows no queue {error}")
        return Outcome(SENT, new_id=spec.task_id)

    async def _withdraw(
        self, specs: Mapping[str, TaskSpec], result: SendResult
    ) -> None:
        """Withdraw what was registered and certainly not sent."""
        unsent = [
            spec.task_id
            for id_, spec in specs.items()
            if id_ in result.untouched
            or (id_ in result.outcomes and result.outcomes[id_].kind != SENT)
        ]
        if unsent:
            with anyio.CancelScope(shield=True):
                await self._publisher.withdraw(unsent)
