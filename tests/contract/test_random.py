"""Whatever is heard, in whatever batches: the store agrees with the pure model."""

import asyncio
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.index_limits import IndexLimits
from herald_core.model.tasks.views import STATES, TaskView
from tests.support.store.labs import NOW, Lab, walk
from tests.support.store.random_events import (
    IDS,
    NAMES,
    RELAXED,
    an_event,
    few,
)
from tests.support.store.records import merged, stored

BATCHES = st.lists(st.lists(an_event(), max_size=8), max_size=8)


@st.composite
def a_filter(draw: st.DrawFn) -> Filter:
    def some(*values: str) -> Any:
        listed = st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)
        return draw(st.none() | st.none() | listed.map(tuple))

    return Filter(
        ids=some(*IDS, "never"),
        name=some(*NAMES, "x.*", "?"),
        state=some(*STATES),
        worker=some("w1@h", "w?@h", "w*"),
        queue=some("q1", "q*"),
        root=some(*IDS),
        parent=some(*IDS),
        group=some("g1", "g2"),
        tag=some("t1", "t2"),
    )


@RELAXED
@given(batches=BATCHES)
def test_records_equal_the_merge_of_all_events(
    lab: Lab, batches: list[list[Event]]
) -> None:
    async def main() -> None:
        here = lab.fresh()
        # Two writers in turn: each is behind the other, as caches go.
        async with here.open() as one, here.open() as other:
            for number, batch in enumerate(batches):
                await (other if number % 2 else one).store(batch, now=NOW + number)
            events = [event for batch in batches for event in batch]
            found, whole = await stored(one, IDS), merged(events)
            assert _without_attempts(found) == _without_attempts(whole)
            # What was told of an attempt stays told, whatever came in between.
            assert all(
                (found[id_].attempt or 0) >= (whole[id_].attempt or 0) for id_ in whole
            )
        here.clean()

    asyncio.run(main())


def _without_attempts(images: dict[str, TaskView]) -> dict[str, TaskView]:
    return {
        id_: msgspec.structs.replace(image, attempt=None)
        for id_, image in images.items()
    }


@RELAXED
@given(
    batches=BATCHES, filter_=a_filter(), limit=st.integers(1, 4), most=few(1, 2, 100)
)
def test_pages_and_counts_equal_looking_at_every_task(
    lab: Lab, batches: list[list[Event]], filter_: Filter, limit: int, most: int
) -> None:
    """However many values are indexed apart."""

    async def main() -> None:
        here = lab.fresh()
        async with here.open(apart=IndexLimits(*[most] * 5)) as store:
            first: dict[str, None] = {}
            for number, batch in enumerate(batches):
                await store.store(batch, now=NOW + number)
                first.update(dict.fromkeys(event.task_id for event in batch))
            images = merged([event for batch in batches for event in batch])
            newest = [images[id_] for id_ in reversed(first)]
            expected = [task.id for task in newest if filter_.matches(task)]
            found = await walk(store, filter_, limit)
            # Of one moment, partitions do not know each other's order.
            order = sorted if lab.parts > 1 else list
            assert order(task.id for task in found) == order(expected)
            counted = await store.count_tasks(filter_, limit=100)
            keys = sum(
                getattr(filter_, key) is not None for key in Filter.__struct_fields__
            )
            assert counted == len(expected) if keys < 2 else counted >= len(expected)
            states = [task.state for task in images.values()]
            assert await store.count_by_state() == {
                s: states.count(s) for s in set(states)
            }
        here.clean()

    asyncio.run(main())
