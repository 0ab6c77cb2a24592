"""A world of nodes and clients around a store that is maltreated.

Nothing but a seed decides in which order things happen. Feed, hub, library,
session and pump are the real ones.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, cast

from herald_core.model.cursor import Cursor, parse_cursor
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter, parse_filter
from herald_core.model.tasks.views import TaskView
from herald_server.push.log.hub import is_relevant
from herald_server.push.session.snapshots import SnapshotReader
from tests.support import validators
from tests.support.journal import Journal
from tests.support.simulation.nodes import Client, Node
from tests.support.simulation.store import FragileStore, Gates

NOW = 1_800_000_000.0
KINDS = ("sent", "received", "started", "succeeded", "failed", "retried", "revoked")


WISHES: tuple[tuple[Mapping[str, Any], ...], ...] = (
    ({"filter": {}},),
    ({"filter": {"state": "STARTED"}},),
    ({"filter": {"state": ["SUCCESS", "RETRY"]}}, {"filter": {"name": "a.*"}}),
    ({"filter": {"ids": ["t0", "t1", "t2"], "state": ["STARTED", "SUCCESS"]}},),
    ({"filter": {"worker": "w1@*"}, "mode": "events"},),
    ({"filter": {}, "mode": "events"}, {"filter": {"state": ["FAILURE", "RECEIVED"]}}),
)


class World:
    """Everything, and the schedule that a seed makes."""

    def __init__(
        self, seed: int, library: type[SnapshotReader] = SnapshotReader, nodes: int = 3
    ) -> None:
        self.random = Random(seed)
        self.gates = Gates()
        self.store = FragileStore(self.gates)
        self.most = self.random.randint(1, 4)
        self._library = library
        self.nodes = [self._node() for _ in range(nodes)]
        self.clients = [Client(self.gates, *wishes) for wishes in WISHES]
        self._clock = itertools.count(1)
        self._names = itertools.count()

    def _node(self) -> Node:
        return Node(self.store, self._library, self.most)

    async def run(self, steps: int) -> list[str]:
        """Live through `steps` and an end without faults; return all complaints."""
        await self.write()
        for node in self.nodes:
            node.start()
        for _ in range(steps):
            await self._step()
            await settle()
        return await self.end()

    async def end(self) -> list[str]:
        """End without faults; return all complaints."""
        try:
            await self._quiet_end()
            return self._complaints()
        finally:
            for client in self.clients:
                await client.disconnect()
            for node in self.nodes:
                await node.stop()

    async def _step(self) -> None:
        random = self.random
        what = random.random()
        if what < 0.22:
            await self.write()
        elif what < 0.85:
            self.gates.let(random)
        elif what < 0.93:
            await self.come_or_go(random.choice(self.clients))
        elif what < 0.96:
            self.store.replicate()
        else:
            await self._fault()

    async def _fault(self) -> None:
        random = self.random
        fault = random.randrange(8)
        if fault == 0:
            self.store.fail_over(f"server-{next(self._names)}")
        elif fault == 1 and random.random() < 0.3:
            self.store.flush()
        elif fault == 2:
            await self.restart(random.randrange(len(self.nodes)))
        elif fault in (3, 4):
            self.store.trim(random.randint(0, 12))
        elif fault == 5:
            self.store.expire(self._id())
        else:
            self.store.forget(self._id())

    async def come_or_go(self, client: Client) -> None:
        """Connect a client to some node, or let it vanish."""
        if client.connected:
            await client.disconnect()
        else:
            client.connect(self.random.choice(self.nodes), self.random.random() < 0.5)

    async def restart(self, index: int) -> None:
        """Kill a node and start another one in its place."""
        old = self.nodes[index]
        for client in self.clients:
            if client.node is old:
                await client.disconnect()
        await old.stop()
        self.nodes[index] = self._node()
        self.nodes[index].start()

    def _id(self) -> str:
        return f"t{self.random.randrange(8)}"

    async def write(self) -> None:
        """Store one to three real events in one batch."""
        events = [self._event() for _ in range(self.random.randint(1, 3))]
        await self.store.store(events, now=NOW)

    def _event(self) -> Event:
        random, clock = self.random, next(self._clock)
        id_ = self._id()
        kind = random.choice(KINDS)
        name = (
            f"{'ab'[int(id_[1]) % 2]}.{id_}" if kind in ("sent", "received") else None
        )
        return Event(
            kind=kind,
            task_id=id_,
            at=NOW + clock,
            host=f"w{random.randint(1, 2)}@h",
            pid=random.randint(1, 2),
            clock=clock,
            name=name,
            retries=random.randint(0, 2) if kind in ("sent", "received") else None,
        )

    async def _quiet_end(self) -> None:
        self.store.heartbeat()
        self.gates.let_all()
        for _ in range(400):
            for client in self.clients:
                if not client.connected:
                    await client.disconnect()
                    client.connect(self.nodes[0], False)
            await settle()
            if all(self._caught_up(client) for client in self.clients):
                return

    def _caught_up(self, client: Client) -> bool:
        end = max(self.store.history)
        return all(
            journal.cursor is not None and parse_cursor(journal.cursor) == end
            for journal in client.journals
        )

    # -- the verdict ------------------------------------------------------------------

    def _complaints(self) -> list[str]:
        found: list[str] = []
        for number, client in enumerate(self.clients):
            found += [f"client {number}: refused: {e}" for e in client.errors]
            for journal, wish in zip(client.journals, client.wishes, strict=True):
                found += self._complaints_of(number, journal, wish)
        return found

    def _complaints_of(
        self, number: int, journal: Journal, wish: Mapping[str, Any]
    ) -> list[str]:
        filter_ = parse_filter(cast(dict[str, object], wish["filter"]))

        def truth(cursor: str) -> dict[str, str] | None:
            then = self.store.history.get(parse_cursor(cursor))
            return None if then is None else revs(then.values(), filter_)

        stored = self.store.history[max(self.store.history)].values()
        found = validators.complaints(
            journal, final=revs(stored, filter_), truth=truth, forgets=True
        )
        if wish.get("mode") == "events":
            missed = validators.every_transition(
                journal, lambda a, b: self._between(filter_, a, b)
            )
            found += [f"not every transition: {said}" for said in missed]
        return [f"client {number}, {journal.sub}, {said}" for said in found]

    def _between(
        self, filter_: Filter, after: Cursor, upto: Cursor
    ) -> list[tuple[str, str]]:
        return [
            (change.id, change.rev)
            for cursor, changes in self.store.changes.items()
            if after < cursor <= upto and cursor.epoch == upto.epoch
            for change in changes
            if not change.is_deletion
            and change.task is not None
            and filter_.matches(change.task)
            and is_relevant(filter_, change)
        ]


def revs(tasks: Iterable[TaskView], filter_: Filter) -> dict[str, str]:
    """Return the revs of the tasks that match."""
    return {task.id: task.rev or "" for task in tasks if filter_.matches(task)}


async def settle() -> None:
    """Let everybody come to a gate."""
    for _ in range(12):
        await asyncio.sleep(0)
