"""Lists of workers in parts."""

import pytest

from herald_core.errors import InvalidInput
from herald_core.model.workers.worker import WorkerView
from herald_server.insight.worker_pages import (
    MAX_WORKERS,
    count_states,
    make_page,
    parse_limit,
    select_most_urgent,
)

STATES = ["online", "silent", "online", "offline", "draining"]
FIVE = [
    WorkerView(id=f"w{n}@h", hostname=f"w{n}@h", state=state)
    for n, state in enumerate(STATES)
]


def test_parts_put_together_are_the_list() -> None:
    found: list[WorkerView] = []
    after: str | None = None
    while True:
        page = make_page(FIVE, 2, after)
        assert (page.total, page.whole) == (5, False)
        found += page.workers
        if (after := page.next) is None:
            break
    assert found == FIVE


def test_a_worker_that_left_meanwhile_cuts_nothing() -> None:
    page = make_page(FIVE, 2)
    left = [one for one in FIVE if one.hostname != page.next]
    assert make_page(left, 9, page.next).workers == FIVE[2:]


def test_all_that_fit_are_whole() -> None:
    page = make_page(FIVE, 5)
    assert (page.workers, page.whole, page.next) == (FIVE, True, None)
    assert page.states == {"silent": 1, "draining": 1, "offline": 1, "online": 2}


def test_who_is_not_well_comes_first_where_not_all_fit() -> None:
    assert select_most_urgent(FIVE, 5) == FIVE
    shown = [one.state for one in select_most_urgent(FIVE, 4)]
    assert shown == ["silent", "draining", "offline", "online"]


def test_states_without_workers_are_not_told() -> None:
    assert count_states(FIVE[:1]) == {"online": 1}


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1e3", "²", "9" * 9])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="whole number"):
        parse_limit(text)


def test_a_limit_is_at_most_what_one_answer_holds() -> None:
    assert parse_limit(None) == parse_limit("99999") == MAX_WORKERS
    assert parse_limit("7") == 7
