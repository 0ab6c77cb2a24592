"""How long reconnect loops pause."""

import pytest

from herald_core.system.backoff import Backoff


def pauses(backoff: Backoff, number: int) -> list[float]:
    return [backoff.next_pause() for _ in range(number)]


def test_pauses_double_up_to_the_longest() -> None:
    assert pauses(Backoff(0.1, 0.5, jitter=0.0), 4) == [0.1, 0.2, 0.4, 0.5]


def test_a_success_begins_with_the_first_pause() -> None:
    backoff = Backoff(0.1, 0.5, jitter=0.0)
    pauses(backoff, 3)
    backoff.reset()
    assert pauses(backoff, 1) == [0.1]


@pytest.mark.parametrize("jitter", [0.5, 1.0])
def test_chance_takes_at_most_its_share(jitter: float) -> None:
    backoff = Backoff(1.0, 1.0, jitter)
    assert all(1.0 - jitter <= pause <= 1.0 for pause in pauses(backoff, 100))


def test_there_may_be_thousands_of_tries() -> None:
    assert max(pauses(Backoff(0.1, 0.5), 2_000)) <= 0.5
