"""Which orders to workers are understood."""

from typing import Any

import pytest

from herald_core.errors import InvalidInput
from herald_server.control.workers.commands import parse_command


def test_defaults_are_filled_in() -> None:
    assert parse_command("pool_grow", {}).arguments == {"n": 1}
    assert parse_command("time_limit", {"task_name": "a"}).arguments == {
        "task_name": "a",
        "soft": None,
        "hard": None,
    }


def test_numbers_may_come_as_texts() -> None:
    assert parse_command("pool_shrink", {"n": "3"}).arguments == {"n": 3}
    given = {"task_name": "a", "rate_limit": 5}
    assert parse_command("rate_limit", given).arguments["rate_limit"] == "5"


WRONG: list[tuple[object, dict[str, Any], str]] = [
    ("grow", {}, "did you mean 'pool_grow'"),
    (7, {}, "unknown command '7'; use one of"),
    ("shutdown", {"n": 1}, "it takes no parameters"),
    ("pool_grow", {"n": 0}, "whole number from 1"),
    ("pool_grow", {"n": True}, "whole number from 1"),
    ("autoscale", {}, "needs max or min"),
    ("autoscale", {"max": 1, "min": 2}, "min must not be above max"),
    ("add_consumer", {}, "needs queue"),
    ("add_consumer", {"queue": "a\nb"}, "printable"),
    ("add_consumer", {"queue": "a", "exchange_type": "odd"}, "one of direct, topic"),
    ("rate_limit", {"task_name": "a", "rate_limit": "fast"}, "such as 10/s"),
    ("time_limit", {"task_name": "a", "soft": -1}, "number of seconds"),
    ("time_limit", {"task_name": "a", "hard": "x"}, "number of seconds"),
    ("time_limit", {"task_name": "a", "hard": float("nan")}, "number of seconds"),
]


@pytest.mark.parametrize(("name", "given", "part"), WRONG)
def test_what_cannot_be_meant_is_refused(
    name: object, given: dict[str, Any], part: str
) -> None:
    with pytest.raises(InvalidInput, match=part):
        parse_command(name, given)
