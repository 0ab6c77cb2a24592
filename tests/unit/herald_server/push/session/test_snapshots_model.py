"""Snapshot, replay and changes together, through all the faults that we know.

The real feed, hub, library, session and pump of three nodes tell six clients of
a store that is trimmed, flushed, failed over and swept, while they come and go.
Each client's map is compared with history at every cursor. Each rule that makes
this work is then taken out, and must be missed.
"""

# pyright: reportPrivateUsage=false
# Rules are taken out of the inside of things.

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest

from herald_core.model.changes import Change, LogEntry
from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter
from herald_server.push.log import hub
from herald_server.push.log.hub import Hub, Subscriber
from herald_server.push.session.session import Session
from herald_server.push.session.snapshots import SnapshotReader
from herald_server.push.session.subscription import ReadRequest, Subscription
from tests.support.simulation.world import World

SCHEDULES = 25
LONG = 2_000
STEPS = 400

pytestmark = pytest.mark.timeout(240)

Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Each broken history is logged; here they are the daily bread."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def first_complaint(
    seeds: range, library: type[SnapshotReader] = SnapshotReader
) -> str:
    """Run schedules until a client complains; return what about."""
    for seed in seeds:
        complaints = asyncio.run(World(seed, library).run(STEPS))
        if complaints:
            return f"seed {seed}: " + "; ".join(complaints[:3])
    return ""


def test_no_client_is_ever_told_anything_wrong() -> None:
    assert not first_complaint(range(SCHEDULES))


def test_nor_if_it_is_so_slow_that_it_starts_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "MAX_PENDING", 2)
    assert not first_complaint(range(1_000, 1_000 + SCHEDULES // 2))


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("part", range(4))
def test_no_client_is_told_anything_wrong_in_many_schedules(part: int) -> None:
    start = 10_000 + part * LONG
    assert not first_complaint(range(start, start + LONG))


# -- with a rule removed -------------------------------------------------------------


def without_rev_guard(patch: pytest.MonkeyPatch) -> None:
    def knows(self: Subscription, change: Change) -> bool:
        return False

    patch.setattr(Subscription, "_is_in_snapshot", knows)


def registered_after_the_snapshot(patch: pytest.MonkeyPatch) -> None:
    watch, synced = Hub.subscribe, Session.on_snapshot_end

    def not_yet(self: Hub, watcher: Subscriber) -> Cursor:
        return self.pos

    def now(self: Session, read: ReadRequest, end: Cursor) -> None:
        watch(self._hub, read.sub.subscriber)
        synced(self, read, end)

    patch.setattr(Hub, "subscribe", not_yet)
    patch.setattr(Session, "on_snapshot_end", now)


def going_live_before_the_log_was_read(patch: pytest.MonkeyPatch) -> None:
    synced = Subscription.on_snapshot_end

    def at_once(self: Subscription, end: Cursor) -> None:
        synced(self, Cursor(0, 0))

    patch.setattr(Subscription, "on_snapshot_end", at_once)


def cursors_while_a_snapshot_is_read(patch: pytest.MonkeyPatch) -> None:
    def parts(self: Session, now: float) -> list[bytes]:
        live = [sub.is_live for sub in self.subscriptions]
        out = data(self, now)
        if out and not all(live) and b'"cursor"' not in out[-1]:
            cursor = f',"cursor":"{self._hub.pos}"}}'.encode()
            out[-1] = out[-1][:-1] + cursor
        return out

    data = Session.take_data_frames
    patch.setattr(Session, "take_data_frames", parts)


def without_before_images(patch: pytest.MonkeyPatch) -> None:
    select = hub.select_change

    def forgetful(filter_: Filter, change: Change) -> Change | None:
        if change.task is None or change.is_deletion:
            return select(filter_, change)
        return change if filter_.matches(change.task) else None

    patch.setattr(hub, "select_change", forgetful)


def without_a_reset_when_history_is_replaced(patch: pytest.MonkeyPatch) -> None:
    def go_on(self: Hub, pos: Cursor, reason: str) -> None:
        self.pos = pos

    patch.setattr(Hub, "reset", go_on)


RULES: list[Break] = [
    without_rev_guard,
    registered_after_the_snapshot,
    going_live_before_the_log_was_read,
    cursors_while_a_snapshot_is_read,
    without_before_images,
    without_a_reset_when_history_is_replaced,
]


@pytest.mark.parametrize("broken", RULES, ids=lambda rule: rule.__name__)
def test_the_model_misses_each_rule(
    broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    assert first_complaint(range(LONG))


class Gullible(SnapshotReader):
    """Replays whatever the log still has."""

    async def _read_since(
        self, read: ReadRequest, since: Cursor, until: Cursor
    ) -> list[LogEntry] | None:
        entries: list[LogEntry] = []
        at = since
        while at < until:
            some = await self._store.read_entries(at, limit=500)
            entries += [entry for entry in some if entry.cursor <= until]
            if not some:
                break
            at = some[-1].cursor
        return entries


class Hasty(SnapshotReader):
    """Replays also what the hub has not offered yet."""

    async def _read_since(
        self, read: ReadRequest, since: Cursor, until: Cursor
    ) -> list[LogEntry] | None:
        return await super()._read_since(
            read, since, max(until, await self._store.read_end())
        )


class Trusting(SnapshotReader):
    """Takes a snapshot for one although the server changed under it."""

    async def _read_snapshot(
        self, session: Session, read: ReadRequest
    ) -> AsyncGenerator[None]:
        async for rows in self._iterate_rows(read):
            if not session.is_current(read):
                return
            session.on_page(read, rows)
            yield
        end = await self._store.read_end()
        if session.is_current(read):
            session.on_snapshot_end(read, end)


@pytest.mark.parametrize(
    ("library", "start"),
    # Started near a schedule that finds it: what is rare would take long.
    [(Gullible, 0), (Hasty, 730), (Trusting, 32)],
)
def test_the_model_misses_each_check_of_the_library(
    library: type[SnapshotReader], start: int
) -> None:
    assert first_complaint(range(start, start + LONG), library)
