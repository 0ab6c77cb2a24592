"""A room for faults: real work all the while, watchers that follow, and the truth."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from operator import not_
from typing import Any, cast
from uuid import uuid4

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from herald_core.model.changes import TASK
from herald_core.model.cursor import START, Cursor
from herald_core.model.filters import Filter
from herald_core.model.gaps import CLOSED, UNREPAIRABLE, Gap
from herald_core.model.vector_cursor import VectorCursor, parse_any_cursor
from herald_core.store.redis.store import RedisStore
from herald_server.push.connection.sender import Timeouts
from tests.support.celery.project import make_app
from tests.support.clients.followers import Follower, Readiness, following
from tests.support.herald.reconciling_monitor import Truth, truth
from tests.support.herald.server import serving
from tests.support.store.labs import walk
from tests.support.validators import Revs, kept
from tests.support.wait import wait_until_async

HEARTBEAT = 1.0
PROBE = 1.0
WITHIN = 60.0
READY = ("SUCCESS", "FAILURE", "REVOKED")
Work = tuple[str, tuple[object, ...]]
"""A task and its arguments."""
WORK: list[Work] = [
    ("add", (1, 2)),
    ("sleepy", (0.05,)),
    ("fail", ()),
    ("add", (3, 4)),
    ("retry_surely", ()),
]


class Traffic:
    """Tasks without end. `ids` are those that the broker took."""

    def __init__(
        self, app: Celery, work: Sequence[Work] = WORK, pause: float = 0.02
    ) -> None:
        # Without a backend: it would listen for each result, and we ask ourselves.
        conf = cast(Any, app).conf
        self._app = make_app(conf.broker_url, None, conf.herald_names)
        self._work = work
        self._pause = pause
        self.ids: list[str] = []
        self.refused = 0

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            for number in count():
                await asyncio.to_thread(
                    self._send, *self._work[number % len(self._work)]
                )
                await asyncio.sleep(self._pause)
        finally:
            cast(Any, self._app).close()

    def _send(self, name: str, args: tuple[object, ...]) -> None:
        id_ = str(uuid4())
        try:
            cast(Any, self._app).send_task(name, args, task_id=id_, retry=False)
        except (OperationalError, OSError, redis.RedisError):
            self.refused += 1
        else:
            self.ids.append(id_)

    async def more(self, number: int) -> None:
        """Wait until so many more were sent."""
        wanted = len(self.ids) + number
        await wait_until_async(
            lambda: len(self.ids) >= wanted, WITHIN, f"{number} more sent"
        )


class Room:
    """Herald over `store`, two followers, and work that goes on through it all."""

    def __init__(
        self,
        app: Celery,
        held: Truth,
        url: str,
        work: Sequence[Work] = WORK,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.store = cast(RedisStore, held.store)
        self.held = held
        self.traffic = Traffic(app, work)
        self.readiness = Readiness(url)
        ws = f"ws{url.removeprefix('http')}ws"
        self.all = Follower(ws)
        self.ended = Follower(ws, "SUCCESS", "FAILURE")
        self.followers = [self.all, self.ended]
        """Who must have all that is stored at the end."""
        self._heartbeat = heartbeat
        self._backend = str(cast(Any, app).conf.result_backend)
        self._places: dict[tuple[int, Cursor], dict[str, tuple[str, str]]] = {}
        self._sending: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Send, follow and ask for readiness for the length of the block."""
        self._sending = asyncio.create_task(self.traffic.run())
        asking = asyncio.create_task(self.readiness.watch())
        try:
            async with following(self.all, self.ended):
                await self.ready()
                await self.traffic.more(20)
                await self.follows(self.all)
                yield
        finally:
            for task in (self._sending, asking):
                task.cancel()
            await asyncio.gather(self._sending, asking, return_exceptions=True)

    async def follows(self, follower: Follower) -> None:
        """Wait until a follower has what it may resume from, and some tasks."""
        journal = follower.journal
        await wait_until_async(
            lambda: journal.cursor and journal.items, WITHIN, "it follows"
        )

    async def unready(self, within: float = WITHIN) -> None:
        """Wait until `/readyz` says no."""
        told = self.readiness.told
        await wait_until_async(
            lambda: told and not told[-1], within, "it says not ready"
        )

    async def ready(self) -> None:
        """Wait until `/readyz` says yes."""
        told = self.readiness.told
        await wait_until_async(lambda: told and told[-1], WITHIN, "it says ready")

    async def works_again(self) -> None:
        """Wait until a task that is sent from now on has ended."""
        before = len(self.traffic.ids)

        async def ended() -> bool:
            states = await self.held.states(self.traffic.ids[before:])
            return any(state in READY for state in states.values())

        await wait_until_async(ended, WITHIN, "the work goes on")

    def ended_while_some_wait(self) -> int | None:
        """Return how many tasks have ended; None if all have."""
        states = list(self._results(list(self.traffic.ids)).values())
        ended = sum([state in READY for state in states])
        return None if ended == len(states) else ended

    # -- afterwards -------------------------------------------------------------------

    async def comes_true(self, forgotten: Iterable[str] = ()) -> None:
        """Assert that after a fault all is as it should be, by itself.

        `forgotten` are ids that the store may have lost for good.
        """
        await self.ready()
        await self.traffic.more(20)
        assert self._sending is not None
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        await self._agrees(set(forgotten))
        await self.remember()
        for follower in self.followers:
            await self._keeps(follower)

    async def gaps(self, reason: str) -> list[Gap]:
        """Assert that a gap for this reason was shown open, and has ended."""
        gaps = [gap for gap in await self.held.closed(WITHIN) if reason in gap.reason]
        assert gaps, f"no gap for {reason!r}: {await self.store.list_gaps()}"
        ids = {gap.id for gap in gaps}
        await wait_until_async(
            lambda: ids & self.all.gaps("open"), 30, "it was shown, open"
        )
        await wait_until_async(
            lambda: ids & (self.all.gaps(CLOSED) | self.all.gaps(UNREPAIRABLE)),
            30,
            "it was shown, ended",
        )
        return gaps

    async def _agrees(self, forgotten: set[str]) -> None:
        """Wait until each task is here as it is in the result backend."""
        await wait_until_async(
            lambda: self._differing(forgotten), WITHIN, "all are the same", accept=not_
        )

    async def _differing(
        self, forgotten: set[str]
    ) -> dict[str, tuple[str | None, str | None]]:
        """Return (result backend, here) of each task that is not the same."""
        ids = self.traffic.ids
        there = await asyncio.to_thread(self._results, ids)
        here = await self.held.states(ids)
        return {
            id_: (there[id_], here.get(id_))
            for id_ in ids
            if not _agree(there[id_], here.get(id_), id_ in forgotten)
        }

    def _results(self, ids: list[str]) -> dict[str, str | None]:
        keys = [f"celery-task-meta-{id_}" for id_ in ids]
        with redis.Redis.from_url(self._backend) as client:
            found = cast("list[bytes | None]", client.mget(keys))
        states = [json.loads(one)["status"] if one else None for one in found]
        return dict(zip(ids, states, strict=True))

    # -- what was stored at which place ----------------------------------------------

    async def remember(self) -> None:
        """Note what was stored at each place of the log, as it is kept now."""
        known: dict[int, dict[str, tuple[str, str]]] = {}
        after = START
        while entries := await self.store.read_entries(after, limit=500):
            for entry in entries:
                after = entry.cursor
                part, place = _own(after)
                if part not in known and place.n > 0:
                    return  # trimmed: nobody knows what was before
                now = known.setdefault(part, {})
                for change in entry.changes:
                    if change.kind != TASK:
                        continue
                    now.pop(change.id, None)
                    if change.task is not None and change.json:
                        now[change.id] = (change.task.state, change.rev)
                self._places[part, place] = dict(now)

    def _stored(self, states: tuple[str, ...]) -> Callable[[str], Revs | None]:
        def at(cursor: str) -> Revs | None:
            known = self._known_at(cursor)
            if known is None:
                return None
            found = known.items()
            return {i: rev for i, (s, rev) in found if not states or s in states}

        return at

    def _known_at(self, cursor: str) -> dict[str, tuple[str, str]] | None:
        """Return what was stored at `cursor` in all partitions, if it is known."""
        place = parse_any_cursor(cursor)
        parts = place.parts if isinstance(place, VectorCursor) else (place,)
        found: dict[str, tuple[str, str]] = {}
        for part, own in enumerate(parts):
            known = {} if own == START else self._places.get((part, own))
            if known is None:
                return None
            found |= known
        return found

    async def _keeps(self, follower: Follower) -> None:
        """Wait until a follower has all that is stored; put all seven checks on it."""
        wish = Filter(state=follower.states) if follower.states else Filter()
        journal, revs = follower.journal, dict[str, str]()

        async def has_all() -> bool:
            nonlocal revs
            tasks = await walk(self.store, wish)
            revs = {task.id: task.rev or "" for task in tasks}
            return bool(journal.cursor) and journal.items == revs

        await wait_until_async(has_all, WITHIN, "the follower has all that is stored")
        cursors = [s.frame["cursor"] for s in journal.steps if s.frame.get("cursor")]
        if not self._any_known(cursors):
            # It was told of nothing until now, when the log has gone on.
            await self.remember()
        kept(
            journal,
            final=revs,
            truth=self._stored(follower.states),
            bookmark_within=30 * self._heartbeat,
        )
        assert self._any_known(cursors), "nothing could be compared with what is stored"

    def _any_known(self, cursors: Iterable[str]) -> bool:
        return any(self._known_at(cursor) is not None for cursor in cursors)


def _own(cursor: Cursor) -> tuple[int, Cursor]:
    """Return the partition of an entry, and its place in that one's log."""
    if isinstance(cursor, VectorCursor):
        return cursor.moved, cursor.parts[cursor.moved]
    return 0, cursor


def _agree(there: str | None, here: str | None, forgotten: bool) -> bool:
    if there in READY:
        return here == there or (forgotten and here is None)
    return here in (None, "LOST")


@asynccontextmanager
async def fault_room(
    app: Celery,
    store_url: str,
    heralds: Celery | None = None,
    patience: float = 5.0,
    make: Callable[[str, float], Any] | None = None,
    probe: float = PROBE,
    work: Sequence[Work] = WORK,
) -> AsyncGenerator[Room]:
    """Open the room: `heralds` is the app as Herald reaches it, at first `app`.

    `make` makes a store of a URL and a patience, where it is no plain one. `probe` is
    how often, in seconds, Herald looks whether its line to the broker is alive. `work`
    is what is sent, in turn.
    """
    make = make or (lambda url, patience: RedisStore(url, patience=patience))
    async with AsyncExitStack() as stack:
        store = make(store_url, patience)
        await store.open()
        stack.push_async_callback(store.close)
        held = await stack.enter_async_context(
            truth(heralds or app, store, listen_backend=True, probe_every=probe)
        )
        server = await stack.enter_async_context(
            serving(
                store_url,
                store=make(store_url, patience),
                patience=Timeouts(heartbeat=HEARTBEAT),
            )
        )
        room = Room(app, held, server.url, work)
        await stack.enter_async_context(room.at_work())
        yield room
