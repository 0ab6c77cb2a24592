"""Silences match by glob, until their end."""

import pytest

from herald_core.model.alerts.silence import Silence, find_silence

NOW = 1_000.0


def make(rule: str = "*", subject: str = "*", until: float = 2_000.0) -> Silence:
    return Silence(id="si_1", rule=rule, subject=subject, until=until, by="ann")


@pytest.mark.parametrize(
    ("silence", "matches"),
    [
        (make(), True),
        (make("queue_*"), True),
        (make("queue_*", "reports"), True),
        (make("task_*"), False),
        (make("queue_*", "mail"), False),
        (make(until=NOW), False),
    ],
)
def test_a_silence_matches_rule_and_subject(silence: Silence, matches: bool) -> None:
    assert silence.matches("queue_old", "reports", NOW) is matches


def test_the_longest_silence_counts() -> None:
    short, long = make(until=1_500.0), make(until=3_000.0)
    assert find_silence([short, long, make("x")], "queue_old", "a", NOW) == long


def test_no_silence_is_none() -> None:
    assert find_silence([make("x")], "queue_old", "a", NOW) is None
