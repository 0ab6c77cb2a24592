"""The published transition table is what the model does."""

from tests.support.model.transition_table import (
    BEGIN,
    END,
    PAGE,
    SAME,
    STATES,
    render,
    written,
)


def test_the_page_shows_the_table() -> None:
    """Where it fails: `python -m tests.support.model.transition_table` writes it."""
    assert written() == render()


def test_the_page_marks_the_table_once() -> None:
    text = PAGE.read_text()
    assert (text.count(BEGIN), text.count(END)) == (1, 1)


def test_a_state_that_is_final_is_left_only_for_a_new_attempt_or_the_backend() -> None:
    for row in render().splitlines()[2:]:
        state, *cells = [cell.strip() for cell in row.strip("|").split("|")]
        if state.strip("*") not in ("SUCCESS", "FAILURE", "REVOKED", "REJECTED"):
            continue
        for cell in cells:
            assert cell == SAME or "(2)" in cell or cell.rstrip("!") in STATES
            assert cell.split()[0].rstrip("!") not in ("PENDING", "RECEIVED", "RETRY")
