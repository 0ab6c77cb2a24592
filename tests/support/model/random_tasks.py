"""Random tasks that are plain, or nearly."""

from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.tasks.task import Task
from tests.support.model.events import T0, known, say

ODD = [
    *("sent:1", "received:1", "received:0", "retried", "revoked", "rejected!"),
    *("cancelled", "progress", "failed"),
]


@st.composite
def nearly_plain(draw: st.DrawFn) -> Task:
    """Draw a task that is plain, or differs from a plain one in a thing or two."""
    end = draw(st.sampled_from(["succeeded", "failed"]))
    words = [w for w in ("sent:0", "received:0", "started", end) if draw(MOSTLY)]
    if not words or draw(st.booleans()):
        # One word too many, or another in its place.
        at = draw(st.integers(0, len(words)))
        words[at : at + draw(st.integers(0, 1))] = [draw(st.sampled_from(ODD))]
    return known(draw(told_of(word, place)) for place, word in enumerate(words))


MOSTLY = st.sampled_from([True] * 4 + [False])


def rarely(usual: object, *others: object) -> st.SearchStrategy[object]:
    return st.sampled_from([usual] * 40 + [*others])


def told_of(word: str, place: int) -> st.SearchStrategy[Event]:
    """Draw what is told `place`-th; the client that sends is called otherwise."""
    at = st.sampled_from([0.0] * 20 + [-1.2, -1.6, -2.3, 1.0])
    return st.builds(
        say,
        st.just(word),
        st.sampled_from([place] * 40 + [0, 1, 2]),
        host=rarely("client" if word.startswith("sent") else "w1", "w1", "w2", ""),
        pid=rarely(1, 2, 0),
        at=at.map(lambda late: T0 + place / 2 + late),
        arrived_at=st.sampled_from([None, T0 + 5]),
        worker_time=rarely(None, T0 + 2.0),
        eta=rarely(None, 0.0, T0 + 9),
        expires=rarely(None, 0.0, T0 + 8, T0 + 9),
        runtime=st.sampled_from([None, 0.0, 0.1234567]),
        result=st.sampled_from([None, "5"]),
        exception=st.sampled_from([None, "ValueError()"]),
        traceback=st.sampled_from([None, "Traceback"]),
        name=st.sampled_from([None, "a"]),
        tags=st.sampled_from([None, ("x",)]),
        group_id=st.sampled_from([None, "g"]),
        group_index=st.sampled_from([None, 0, 1]),
        chord_id=st.sampled_from([None, "c"]),
        stamps=rarely(None, '{"s":["a"]}'),
        trace_id=st.sampled_from([None, "1"]),
        parent_span_id=st.sampled_from([None, "1"]),
        source=rarely("event", "submitted", "backend"),
    )


KINDS = ["sent:0", "received:0", "received:1", "started", "succeeded", "retried"]


@st.composite
def under_load(draw: st.DrawFn) -> list[Event]:
    """Draw words that mostly have places of their own, as under load."""
    words = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    clocks = draw(st.permutations(range(len(words) + 1)))
    return [
        say(
            word,
            clocks[i],
            host=draw(st.sampled_from(["client", "w1", "w2"])),
            name=draw(st.sampled_from([None, "a", "b"])),
            queue=draw(st.sampled_from([None, "q"])),
            tags=draw(st.sampled_from([None, ("x",), ("y",)])),
            group_id=draw(st.sampled_from([None, "g"])),
            arrived_at=T0 + 9,
        )
        for i, word in enumerate(words)
    ]
