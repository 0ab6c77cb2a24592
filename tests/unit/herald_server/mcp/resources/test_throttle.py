"""When changes may be told: at once after quiet, gathered under load."""

from herald_server.mcp.resources.throttle import Throttle


def test_the_first_change_is_told_at_once() -> None:
    pulse = Throttle(pause=0.5)
    pulse.record("a", 10.0)
    assert pulse.compute_delay(10.0) == 0
    assert pulse.take_due(10.0) == ["a"]
    assert pulse.compute_delay(10.0) is None


def test_further_changes_are_gathered() -> None:
    pulse = Throttle(pause=0.5)
    pulse.record("a", 10.0)
    pulse.take_due(10.0)
    for moment in (10.1, 10.2, 10.3):
        pulse.record("a", moment)
        assert pulse.take_due(moment) == []
    assert pulse.take_due(10.5) == ["a"]


def test_one_thing_does_not_hold_back_another() -> None:
    pulse = Throttle(pause=0.5)
    pulse.record("a", 10.0)
    pulse.take_due(10.0)
    pulse.record("a", 10.1)
    pulse.record("b", 10.1)
    assert pulse.take_due(10.1) == ["b"]


def test_an_ending_is_told_at_once() -> None:
    pulse = Throttle(pause=0.5)
    pulse.record("a", 10.0)
    pulse.take_due(10.0)
    pulse.record("a", 10.1)
    pulse.record("a", 10.2, ending=True)
    assert pulse.take_due(10.2) == ["a"]
    assert pulse.compute_delay(10.2) is None


def test_two_changes_a_second_at_most() -> None:
    pulse = Throttle(pause=0.5)
    told = 0
    for step in range(1000):
        pulse.record("a", step / 100)
        told += len(pulse.take_due(step / 100))
    assert told == 20
