"""A task as it is shown: its times, and what it leaves out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.tasks.views import TaskView, from_rfc3339, to_dict, to_rfc3339
from tests.support.model.events import T0


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (T0, "2027-01-15T08:00:00.000Z"),
        (T0 + 0.0004, "2027-01-15T08:00:00.000Z"),
        (T0 + 0.9996, "2027-01-15T08:00:01.000Z"),
        (-5.0, "1970-01-01T00:00:00.000Z"),
        (1e300, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_times_are_shown_in_utc_with_milliseconds(at: float, text: str) -> None:
    assert to_rfc3339(at) == text


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1e11))
def test_times_come_back(at: float) -> None:
    assert abs(from_rfc3339(to_rfc3339(at)) - at) <= 0.00052


def test_absent_fields_are_left_out() -> None:
    assert to_dict(TaskView(id="t1", state="PENDING")) == {
        "id": "t1",
        "state": "PENDING",
    }
