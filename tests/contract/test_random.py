"""Whatever is heard, in whatever batches: the store agrees with the pure model."""

import asyncio
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from herald_monitor.model.events import Event, Progress
from herald_monitor.model.filters import Filter
from herald_monitor.model.keys import Apart
from herald_monitor.model.shape import STATES, TaskImage
from tests.contract.labs import NOW, Lab, walk
from tests.contract.test_storing import merged, stored

IDS = ["a", "b", "c", "d", "e"]
NAMES = ["x.add", "x.sub", "y", "*"]
TASK_KINDS = [
    *("sent", "received", "started", "succeeded", "failed", "retried", "revoked"),
    *("rejected", "cancelled", "progress"),
]

RELAXED = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def few(*values: Any) -> st.SearchStrategy[Any]:
    """Draw few values, so that they collide."""
    return st.sampled_from(values)


@st.composite
def an_event(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(TASK_KINDS))
    fields: dict[str, Any] = {}
    if kind in ("sent", "received"):
        fields = {
            "name": draw(few(None, *NAMES)),
            "queue": draw(few(None, "q1", "q2")),
            "root_id": draw(few(None, *IDS)),
            "parent_id": draw(few(None, *IDS)),
            "group_id": draw(few(None, "g1", "g2")),
            "retries": draw(few(None, 0, 1)),
            "tags": draw(few(None, ("t1",), ("t1", "t2"))),
        }
    if kind == "progress":
        fields = {"progress": Progress(draw(few(0.0, 50.0)))}
    return Event(
        kind=kind,
        task_id=draw(st.sampled_from(IDS)),
        at=NOW + draw(few(0, 1, 2, 3)),
        host=draw(few("w1@h", "w2@h", "w*")),
        pid=1,
        clock=draw(st.integers(0, 4)),
        flag=draw(st.booleans()),
        **fields,
    )


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


def _without_attempts(images: dict[str, TaskImage]) -> dict[str, TaskImage]:
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
        async with here.open(apart=Apart(most, most, most, most)) as store:
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
            counted = await store.count(filter_, most=100)
            keys = sum(
                getattr(filter_, key) is not None for key in Filter.__struct_fields__
            )
            assert counted == len(expected) if keys < 2 else counted >= len(expected)
            states = [task.state for task in images.values()]
            assert await store.counts() == {s: states.count(s) for s in set(states)}
        here.clean()

    asyncio.run(main())
