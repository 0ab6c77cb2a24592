"""Which source decides an attribute of a task: its group, its queue, its tags."""

from itertools import permutations

from herald_core.model.events.event import parse_event
from herald_core.model.tasks.attributes import is_group_registered
from tests.support.model.events import T0, known, say, shown
from tests.support.model.worker_events import OUTBOX, PLAIN, TRACEPARENT


def test_all_that_the_outbox_says_is_shown() -> None:
    raw = {**PLAIN, **OUTBOX, "stamps": {"who": ["me"]}}
    event = parse_event(raw, T0)
    assert event is not None
    task = shown([event])
    assert (task.queue, task.routing_key, task.priority) == ("mail", "mail", 3)
    assert (task.group_id, task.group_index, task.chord_id) == ("g", 2, "c")
    assert (task.tags, task.stamps) == (("user:42",), {"who": ("me",)})
    assert [task.trace_id, task.parent_span_id] == TRACEPARENT.split("-")[1:3]


def test_tags_of_the_first_call_stay() -> None:
    told = [
        say("sent", 0),
        say("received", 1, tags=("a", "b")),
        say("received", 4, retries=1, tags=("c",)),
        say("sent", 3, retries=1, tags=("d",)),
    ]
    assert {shown(order).tags for order in permutations(told)} == {("a", "b")}


def test_what_herald_started_keeps_its_group_and_tags() -> None:
    told = [
        say("sent", 5, source="submitted", tags=("own", "trace"), group_id="own"),
        say("sent", 0, tags=("x",), group_id="x"),
        say("received", 1, tags=("own",), group_id="own", group_index=3),
        say("received", 9, retries=7, tags=("x",), group_id="x"),
        say("succeeded", 10, source="backend", retries=9, group_id="x"),
    ]
    for order in permutations(told):
        task = known(order)
        assert is_group_registered(task.attributes)
        assert (shown(order).group_id, shown(order).tags) == ("own", ("own", "trace"))


def test_the_last_group_that_others_say_is_shown() -> None:
    told = [
        say("sent", 0, group_id="a", group_index=0, chord_id="c"),
        say("received", 1, group_id="a", group_index=0, chord_id="c"),
        say("received", 3, retries=1, group_id="b", group_index=7),
    ]
    for order in permutations(told):
        task = shown(order)
        assert (task.group_id, task.group_index, task.chord_id) == ("b", 7, "c")
        assert not is_group_registered(known(order).attributes)


def test_no_number_of_retries_makes_a_precedence_that_cannot_be_stored() -> None:
    huge = say("received", 1, retries=(1 << 31) - 1, group_id="g", tags=("a",))
    ranks = [rank for rank, _ in known([huge]).attributes.values()]
    assert all(-(1 << 63) <= rank < 1 << 63 for rank in ranks)
