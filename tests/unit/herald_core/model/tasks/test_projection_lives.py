"""Whole lives of tasks, drawn at random: what is final is never wrong.

A life runs on workers whose clocks are wrong, with retries, requeues, deaths of
workers and restarts of containers; any of its events may be lost, at any moment.
"""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from tests.support.model.events import T0, say, shown

OUTCOMES = {"succeeded": "SUCCESS", "failed": "FAILURE", "revoked!": "REVOKED"}
CONTINUED = ("retried", "rejected!", "cancelled", "died")


class Life(NamedTuple):
    """What was said in this order, and what became of the task."""

    events: list[Event]
    truth: str


class Boot:
    """A worker process: a name, a pid, a clock of each kind."""

    def __init__(self, host: str, pid: int, skew: float) -> None:
        self.host, self.pid, self.skew, self.clock = host, pid, skew, 1

    def says(self, word: str, now: float) -> Event:
        """Return one event, heard `now`."""
        self.clock += 1
        said = now + self.skew
        return say(
            word,
            self.clock,
            host=self.host,
            pid=self.pid,
            at=min(said, now),
            arrived_at=now,
            worker_time=said if said > now else None,
        )


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Draw a life."""
    boots = [
        Boot("a", 1, draw(st.sampled_from([0.0, -120.0, 120.0]))),
        Boot("b", 1, draw(st.sampled_from([0.0, -120.0, 120.0]))),
    ]
    ends = draw(st.lists(st.sampled_from(CONTINUED), max_size=4))
    outcome = draw(st.sampled_from(list(OUTCOMES)))
    told: list[Event] = []
    now, attempt = T0, 0
    for end in [*ends, outcome]:
        now += draw(st.sampled_from([0.01, 5.0, 90.0]))
        boot = boots[draw(st.integers(0, 1))]
        if draw(st.booleans()):
            told.append(say(f"sent:{attempt}", len(told), at=now, arrived_at=now))
        told += [boot.says(f"received:{attempt}", now), boot.says("started", now + 0.1)]
        now += 2.0
        if end != "died":
            told.append(boot.says(end, now))
        else:
            # Killed. A container comes up with the same name, often the same pid.
            pid = draw(st.sampled_from([1, boot.pid + 1]))
            boots[boots.index(boot)] = Boot(boot.host, pid, boot.skew)
        attempt += end == "retried"
    return Life(told, OUTCOMES[outcome])


@settings(max_examples=100, deadline=None)
@given(lives())
def test_a_whole_life_ends_as_it_did(life: Life) -> None:
    image = shown(life.events)
    assert (image.state, image.conflict) == (life.truth, False)


@settings(max_examples=100, deadline=None)
@given(lives(), st.integers(0, 20))
def test_nothing_is_final_before_its_end(life: Life, until: int) -> None:
    seen = life.events[: until % len(life.events) or 1]
    assert not shown(seen).final


@settings(max_examples=200, deadline=None)
@given(lives(), st.data())
def test_no_loss_makes_a_wrong_state_final(life: Life, data: st.DataObject) -> None:
    lost = data.draw(st.sets(st.integers(0, len(life.events) - 1), max_size=4))
    heard = [event for i, event in enumerate(life.events) if i not in lost]
    if heard:
        image = shown(heard)
        assert image.state == life.truth or not image.final


@settings(max_examples=200, deadline=None)
@given(lives(), st.data())
def test_the_last_word_is_enough_if_one_other_is_lost(
    life: Life, data: st.DataObject
) -> None:
    lost = data.draw(st.integers(0, len(life.events) - 2))
    heard = [event for i, event in enumerate(life.events) if i != lost]
    assert shown(heard).state == life.truth
