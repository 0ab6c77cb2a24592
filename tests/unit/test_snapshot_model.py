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

from herald_monitor.model.changes import Change, Entry
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Filter
from herald_server import hub
from herald_server.hub import Hub, Watcher
from herald_server.reading import Library
from herald_server.session import Session
from herald_server.subscription import Read, Subscription
from tests.model_world import World

SCHEDULES = 25
LONG = 2_000
STEPS = 400

pytestmark = pytest.mark.timeout(180)

Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Each broken history is logged; here they are the daily bread."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def first_complaint(seeds: range, library: type[Library] = Library) -> str:
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

    patch.setattr(Subscription, "_knows", knows)


def registered_after_the_snapshot(patch: pytest.MonkeyPatch) -> None:
    watch, synced = Hub.watch, Session.synced

    def not_yet(self: Hub, watcher: Watcher) -> Cursor:
        return self.pos

    def now(self: Session, read: Read, end: Cursor) -> None:
        watch(self._hub, read.sub.watcher)
        synced(self, read, end)

    patch.setattr(Hub, "watch", not_yet)
    patch.setattr(Session, "synced", now)


def going_live_before_the_log_was_read(patch: pytest.MonkeyPatch) -> None:
    synced = Subscription.synced

    def at_once(self: Subscription, end: Cursor) -> None:
        synced(self, Cursor(0, 0))

    patch.setattr(Subscription, "synced", at_once)


def cursors_while_a_snapshot_is_read(patch: pytest.MonkeyPatch) -> None:
    def parts(self: Session, now: float) -> list[bytes]:
        live = [sub.live for sub in self._subs.values()]
        out = data(self, now)
        if out and not all(live) and b'"cursor"' not in out[-1]:
            cursor = f',"cursor":"{self._hub.pos}"}}'.encode()
            out[-1] = out[-1][:-1] + cursor
        return out

    data = Session.data
    patch.setattr(Session, "data", parts)


def without_before_images(patch: pytest.MonkeyPatch) -> None:
    concerns = hub.concerns

    def forgetful(filter_: Filter, change: Change) -> bool:
        if change.task is None or change.gone:
            return concerns(filter_, change)
        return filter_.matches(change.task)

    patch.setattr(hub, "concerns", forgetful)


def without_a_reset_when_history_is_replaced(patch: pytest.MonkeyPatch) -> None:
    def go_on(self: Hub, pos: Cursor, reason: str) -> None:
        self.pos = pos

    patch.setattr(Hub, "start_over", go_on)


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


class Gullible(Library):
    """Replays whatever the log still has."""

    async def _since(
        self, read: Read, since: Cursor, until: Cursor
    ) -> list[Entry] | None:
        entries: list[Entry] = []
        at = since
        while at < until:
            some = await self._store.read(at, most=500)
            entries += [entry for entry in some if entry.cursor <= until]
            if not some:
                break
            at = some[-1].cursor
        return entries


class Hasty(Library):
    """Replays also what the hub has not offered yet."""

    async def _since(
        self, read: Read, since: Cursor, until: Cursor
    ) -> list[Entry] | None:
        return await super()._since(read, since, max(until, await self._store.end()))


class Trusting(Library):
    """Takes a snapshot for one although the server changed under it."""

    async def _snapshot(self, session: Session, read: Read) -> AsyncGenerator[None]:
        async for rows in self._rows(read):
            if not session.wanted(read):
                return
            session.page(read, rows)
            yield
        end = await self._store.end()
        if session.wanted(read):
            session.synced(read, end)


@pytest.mark.parametrize(
    ("library", "start"),
    # Started near a schedule that finds it: what is rare would take long.
    [(Gullible, 0), (Hasty, 730), (Trusting, 32)],
)
def test_the_model_misses_each_check_of_the_library(
    library: type[Library], start: int
) -> None:
    assert first_complaint(range(start, start + LONG), library)
