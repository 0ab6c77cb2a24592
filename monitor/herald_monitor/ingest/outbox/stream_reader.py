"""The reader of one stream of the outbox, as a member of the monitors' group."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from herald_core.system.backoff import Backoff
from herald_core.system.error_sentences import describe_briefly
from herald_monitor.ingest.outbox.consumer_group import (
    READ_ENTRIES,
    Entry,
    GroupConsumer,
    GroupGone,
)
from herald_monitor.ingest.outbox.entry_delivery import (
    MAX_UNCONFIRMED_EVENTS,
    EntryDelivery,
    ReaderCallbacks,
)
from herald_monitor.ingest.outbox.losses import (
    describe_deleted_pending,
    describe_deleted_stream,
    describe_trimmed,
)
from herald_monitor.ingest.outbox.progress import ReadProgress
from herald_monitor.ingest.outbox.stream_info import (
    GroupInfo,
    StreamInfo,
    find_unread_loss,
    has_expired,
    is_other_stream,
    list_dead_consumers,
    parse_entry_id,
)
from herald_monitor.ingest.outbox.stream_turn import StreamTurn
from herald_monitor.ingest.outbox.stream_upkeep import OUTBOX_SETTING, StreamUpkeep

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 1.0
BLOCK_MS = 250
"""Milliseconds of a read that gets nothing: a consumer that is silent for longer than
some of these counts as dead."""

ABSENT_BLOCK_MS = 500
ABSENT_READS = 10
"""Milliseconds of a read of a stream that does not exist, and such reads until it is
looked at again: its first entry ends a read, but who makes it may also empty it."""

UNCONFIRMED_BLOCK_MS = 20
"""The same while entries wait for their acknowledgement."""

CHECK_INTERVAL_S = 1.0
FULL_PAUSE_S = 0.01
TURN_PAUSE_S = 0.25

BEGINNING = b"0-0"


class StreamReader:
    """Reads one stream until `stop`, on the thread of `run`.

    `connect` opens the consumer's connection. With `expects_history` entries that were
    trimmed before the group existed count as lost. It takes no more entries while too
    many are unconfirmed, or after `pause`; it acknowledges, and stays alive for others.
    With a `number` the stream is one of several, which are divided among the monitors.
    """

    def __init__(
        self,
        stream: str,
        group: str,
        name: str,
        keep: float,
        connect: Callable[[], GroupConsumer],
        callbacks: ReaderCallbacks,
        max_events: int = MAX_UNCONFIRMED_EVENTS,
        number: int | None = None,
    ) -> None:
        self._delivery = EntryDelivery(stream, callbacks, max_events)
        self.counts = self._delivery.counts
        self.progress = ReadProgress()
        self.expects_history = False
        self._trouble = ""
        self._stream = stream
        self._group = group
        self._name = name
        self._upkeep = StreamUpkeep(name, keep, self.counts)
        self._connect = connect
        self._stopping = threading.Event()
        self._paused = False
        self._in_flight = self._delivery.in_flight
        self._turn = StreamTurn(name, number)
        self._backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        self._known: StreamInfo | None = None
        self._history: bytes | None = None
        self._is_behind = True
        self._checked_at = 0.0
        self._was_connected = False

    @property
    def problem(self) -> str:
        """Why entries are not read, or not trimmed; empty if they are."""
        return self._trouble or self._upkeep.problem

    def stop(self) -> None:
        """Make `run` return, once it has acknowledged what is stored."""
        self._stopping.set()

    def pause(self) -> None:
        """Take no more entries."""
        self._paused = True

    def run(self) -> None:
        """Read until `stop`, over every cut of the connection."""
        while not self._stopping.is_set():
            try:
                self._run_connection()
            except Exception as error:  # any library's error, and any stay away
                self._log_error(error)
            self._stopping.wait(self._backoff.next_pause())

    def _run_connection(self) -> None:
        consumer = self._connect()
        try:
            self._join_group(consumer)
            while not self._stopping.is_set():
                try:
                    self._step(consumer)
                except GroupGone:
                    self._join_group(consumer)
            self._leave(consumer)
        finally:
            self.progress.connected = False
            consumer.close()

    def _leave(self, consumer: GroupConsumer) -> None:
        """Acknowledge what is stored, and leave nothing behind if all is."""
        self._acknowledge(consumer)
        group = self._fetch_group(consumer)
        own = [c for c in group.consumers if c.name == self._name] if group else []
        if own and not own[0].pending:
            consumer.delete_consumer(self._name)

    def _fetch_group(self, consumer: GroupConsumer) -> GroupInfo | None:
        info = consumer.fetch_info()
        return info.get_group(self._group) if info else None

    # -- the group ---------------------------------------------------------------------

    def _join_group(self, consumer: GroupConsumer) -> None:
        """Return when the group exists; it is created with the first entry."""
        while not self._stopping.is_set():
            info = consumer.fetch_info()
            self._note_connected()
            self._check_same_stream(info)
            if info is None:
                self._wait_for_stream(consumer)
            elif info.get_group(self._group) is None:
                self._create_group(consumer, info)
            else:
                break
        self._history, self._is_behind = BEGINNING, True

    def _wait_for_stream(self, consumer: GroupConsumer) -> None:
        for _ in range(ABSENT_READS):
            self.progress.record_absent(time.time())
            if consumer.wait_for_stream(ABSENT_BLOCK_MS) or self._stopping.is_set():
                return

    def _create_group(self, consumer: GroupConsumer, info: StreamInfo) -> None:
        read = None
        if info.added is not None:
            # What was trimmed before there was a store was never missed.
            read = 0 if self.expects_history else info.added - info.length
        if consumer.create_group(read):
            self.progress.created_group = True

    def _check_same_stream(self, info: StreamInfo | None) -> None:
        """Report the loss if the stream that was known was deleted."""
        before = self._known
        if before is None or (info is not None and not is_other_stream(info, before)):
            return
        self._known = None
        if has_expired(before):
            return
        now = time.time()
        since, unread = self.progress.checked_at, self.progress.unread
        self._delivery.report(
            describe_deleted_stream(self._stream, since, now, unread), 1
        )

    # -- reading -----------------------------------------------------------------------

    def _step(self, consumer: GroupConsumer) -> None:
        self._acknowledge(consumer)
        due = time.monotonic() - self._checked_at >= CHECK_INTERVAL_S
        if self._paused or self._delivery.is_full:
            self._wait(consumer, due, FULL_PAUSE_S)
        elif self._history is not None:
            self._read_history(consumer, self._history)
        elif not self._turn.is_own:
            self._wait(consumer, due, TURN_PAUSE_S)
        elif due or self._is_behind:
            self._read_and_check(consumer)
        else:
            wait = UNCONFIRMED_BLOCK_MS if len(self._in_flight) else BLOCK_MS
            self._take_entries(consumer.read(wait))

    def _wait(self, consumer: GroupConsumer, due: bool, seconds: float) -> None:
        """Read nothing; stay alive, and look at the stream if that is due."""
        self._is_behind = True
        if due:
            self._update_progress(consumer.refresh_info(), last_read=None)
        self._stopping.wait(seconds)

    def _read_history(self, consumer: GroupConsumer, after: bytes) -> None:
        """Take what this consumer had read before, and never acknowledged."""
        entries = consumer.read_pending(after)
        self._history = entries[-1][0] if entries else None
        gone = [entry_id for entry_id, fields in entries if fields is None]
        self._drop_gone(consumer, gone)
        self._take_entries(
            [one for one in entries if one[1] and one[0] not in self._in_flight]
        )

    def _read_and_check(self, consumer: GroupConsumer) -> None:
        """Read without a wait, and see before it where the stream and the group are."""
        info, entries = consumer.read_with_info()
        self._check_same_stream(info)
        group = info.get_group(self._group)
        assert group is not None, "the read in the same step needs it"
        self._check_unread_loss(consumer, info, group, entries)
        self._take_entries(entries)
        last = entries[-1][0] if self._is_behind else b""
        self._update_progress(info, last_read=last)
        self._claim_from_dead(consumer, info, group)
        self._upkeep.run(consumer, info, group)

    def _take_entries(self, entries: Sequence[Entry]) -> None:
        self._delivery.deliver(entries)
        # Redis returns as many as were asked for only if there are more, or just so.
        self._is_behind = len(entries) >= READ_ENTRIES

    def _acknowledge(self, consumer: GroupConsumer) -> None:
        if ids := self._in_flight.pop_confirmed():
            consumer.acknowledge(ids)

    # -- about once a second -----------------------------------------------------------

    def _check_unread_loss(
        self,
        consumer: GroupConsumer,
        info: StreamInfo,
        group: GroupInfo,
        entries: Sequence[Entry],
    ) -> None:
        number = find_unread_loss(info, group)
        if number == 0:
            return
        self._delivery.report(
            describe_trimmed(self._stream, info, group, number), number or 1
        )
        if info.added is not None:
            last = parse_entry_id(entries[-1][0]) if entries else group.delivered
            consumer.set_position(last, info.added - info.length + len(entries))

    def _update_progress(self, info: StreamInfo, last_read: bytes | None) -> None:
        """Record how far the group is; `last_read` is where this read ended early.

        It is empty if the read got all, and None if nothing was read.
        """
        self._known = info
        self._checked_at = time.monotonic()
        group = info.get_group(self._group)
        if group is None:
            raise GroupGone
        self._turn.update(info, group)
        unread_since = parse_entry_id(last_read) if last_read else None
        if last_read is None and group.delivered < info.last:
            unread_since = group.delivered
        self.progress.record(info, group, unread_since, time.time())

    def _claim_from_dead(
        self, consumer: GroupConsumer, info: StreamInfo, group: GroupInfo
    ) -> None:
        for name in list_dead_consumers(info, group, self._name):
            claim = consumer.claim(name, info.first)
            self._drop_gone(consumer, claim.gone)
            self.counts.claimed += len(claim.entries)
            is_behind = self._is_behind or not claim.is_last
            self._take_entries(claim.entries)
            self._is_behind = is_behind

    def _drop_gone(self, consumer: GroupConsumer, ids: list[bytes]) -> None:
        """Report entries that can never be stored, and let Redis forget them."""
        if ids:
            consumer.acknowledge(ids)
            self._delivery.report(describe_deleted_pending(self._stream, ids), len(ids))

    def _note_connected(self) -> None:
        if self.progress.connected:
            return
        if self._was_connected:
            self.counts.reconnects += 1
            log.info("Reading the outbox stream %s again.", self._stream)
        self._was_connected = True
        self._trouble = ""
        self._backoff.reset()
        self.progress.connected, self.progress.connected_since = True, time.time()

    def _log_error(self, error: Exception) -> None:
        trouble = describe_briefly(error, OUTBOX_SETTING)
        if trouble != self._trouble:
            log.warning(
                "Cannot read the outbox stream %s (%s); retrying until it works.",
                self._stream,
                trouble,
            )
        self._trouble = trouble
