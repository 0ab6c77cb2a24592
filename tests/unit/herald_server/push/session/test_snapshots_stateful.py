"""The same world, driven by hypothesis: what goes wrong is shown in its fewest steps.

Real feed, hub, library, session and pump of three nodes, six clients, and the
oracle: at each cursor a client has what history had there.
"""

import asyncio
import logging
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from herald_core.model.changes import Change
from herald_server.push.session.subscription import Subscription
from tests.support.simulation.world import World, settle

IDS = st.sampled_from([f"t{n}" for n in range(4)])


class Telling(RuleBasedStateMachine):
    """Steps of the world; each draws what it needs, and nothing else decides."""

    @initialize(random=st.randoms(use_true_random=False))
    def begin(self, random: Random) -> None:
        logging.disable(logging.WARNING)
        self.names = 0
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._begin(random))

    async def _begin(self, random: Random) -> None:
        self.world = World(0)
        self.world.random = random
        await self.world.write()
        for node in self.world.nodes:
            node.start()
        await settle()

    def _do(self, *jobs: object) -> None:
        async def then() -> None:
            for job in jobs:
                if asyncio.iscoroutine(job):
                    await job
            await settle()

        self.loop.run_until_complete(then())

    @rule()
    def store(self) -> None:
        self._do(self.world.write())

    @rule(times=st.integers(1, 12))
    def let(self, times: int) -> None:
        for _ in range(times):
            self.world.gates.let(self.world.random)
            self._do()

    @rule(client=st.integers(0, 5))
    def come_or_go(self, client: int) -> None:
        self._do(self.world.come_or_go(self.world.clients[client]))

    @rule(node=st.integers(0, 2))
    def restart(self, node: int) -> None:
        self._do(self.world.restart(node))

    @rule()
    def replicate(self) -> None:
        self.world.store.replicate()

    @rule()
    def fail_over(self) -> None:
        self.names += 1
        self.world.store.fail_over(f"server-{self.names}")

    @rule(keep=st.integers(0, 12))
    def trim(self, keep: int) -> None:
        self.world.store.trim(keep)

    @rule(id_=IDS)
    def forget(self, id_: str) -> None:
        self.world.store.forget(id_)

    @rule(id_=IDS)
    def expire(self, id_: str) -> None:
        self.world.store.expire(id_)

    @rule()
    def flush(self) -> None:
        self.world.store.flush()

    def teardown(self) -> None:
        try:
            assert self.loop.run_until_complete(self.world.end()) == []
        finally:
            self.loop.close()
            logging.disable(logging.NOTSET)


USUAL = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
LONG = settings(USUAL, max_examples=2_000, stateful_step_count=80)


def run(how: settings) -> None:
    run_state_machine_as_test(Telling, settings=how)


def test_whatever_happens_nobody_is_told_anything_wrong() -> None:
    run(USUAL)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_whatever_happens_for_long_nobody_is_told_anything_wrong() -> None:
    run(LONG)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_it_is_noticed_if_a_snapshot_is_not_told_from_what_came_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def knows(self: Subscription, change: Change) -> bool:
        return False

    monkeypatch.setattr(Subscription, "_is_in_snapshot", knows)
    with pytest.raises(AssertionError):
        run(settings(LONG, phases=[Phase.generate], print_blob=False))
