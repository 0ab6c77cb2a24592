"""How a request is written, and which statuses carry its answer."""

import pytest

from herald_client import requests
from herald_client.requests.request import Request, make_filter, make_path
from herald_core.errors import InvalidInput


def test_parts_of_a_path_are_escaped() -> None:
    assert make_path("tasks", "a/b?c", "wait") == "api/v1/tasks/a%2Fb%3Fc/wait"


def test_what_is_none_is_left_out() -> None:
    request = Request("GET", "p", bytes, {"a": None, "b": ["1", "2"], "c": 3})
    assert request.target == "p?b=1&b=2&c=3"


def test_a_read_has_no_body_and_an_order_has_one() -> None:
    assert requests.tasks.get_task("a").content is None
    assert requests.tasks.cancel("a").content == b"{}"


@pytest.mark.parametrize(("status", "good"), [(200, True), (202, True), (404, False)])
def test_statuses_of_success(status: int, good: bool) -> None:
    assert requests.groups.get_group("a").is_success(status) is good
    assert requests.tasks.get_task("a").is_success(404)


def test_a_wrong_filter_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidInput, match="did you mean"):
        make_filter({"stat": "FAILURE"})  # type: ignore[typeddict-unknown-key]


def test_options_of_a_start_are_sent_and_those_left_out_are_not() -> None:
    request = requests.tasks.start("t", {"a": 1}, tags=iter(["x"]), countdown=2.5)
    assert request.body == {
        **{"task_type": "t", "params": {"a": 1}},
        **{"tags": ["x"], "countdown": 2.5},
    }


def test_a_retry_with_its_own_arguments_sends_none() -> None:
    assert requests.tasks.retry("a").body == {}
    assert requests.tasks.retry("a", {}).body == {"kwargs": {}}
