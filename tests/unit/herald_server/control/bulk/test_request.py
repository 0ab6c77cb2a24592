"""The request of a bulk order: what is taken, and the sentences of what is not."""

import pytest

from herald_core.errors import InvalidInput
from herald_server.control.bulk.request import BulkLimits, parse_request
from herald_server.control.bulk.selection import CANCEL_STATES, RETRY_STATES

NOW = 1_000_000.0
LIMITS = BulkLimits(max_tasks=3)


def test_a_filter_without_states_gets_those_of_the_action() -> None:
    given = {"filter": {"name": "a"}}
    retry = parse_request({**given, "action": "retry"}, LIMITS, NOW).selection
    cancel = parse_request({**given, "action": "cancel"}, LIMITS, NOW).selection
    assert (retry.query.filter.name, retry.query.filter.state) == (("a",), RETRY_STATES)
    assert cancel.query.filter.state == CANCEL_STATES


def test_a_text_that_names_states_needs_no_others() -> None:
    given = {"action": "retry", "query": "cancelled name:a"}
    selection = parse_request(given, LIMITS, NOW).selection
    assert selection.query.filter.state == ("REVOKED",)


def test_a_selection_ends_now_and_can_be_given_again() -> None:
    first = parse_request(
        {
            **{"action": "retry", "filter": {"name": "a"}, "query": "last:10m boom"},
            "after": "1970-01-02T00:00:00Z",
        },
        LIMITS,
        NOW,
    )
    again = parse_request(
        {"action": "retry", **first.selection.given, "expect": 2}, LIMITS, NOW + 60
    )
    assert first.selection.query.before == NOW
    assert first.selection.query.after == NOW - 600
    assert again.selection == first.selection


def test_the_spread_makes_the_rate() -> None:
    given = {"action": "retry", "ids": ["a"], "spread_seconds": 60}
    request = parse_request(given, LIMITS, NOW)
    assert request.compute_rate(120) == 2.0
    assert request.compute_rate(10**6) == LIMITS.per_second
    plain = parse_request({"action": "retry", "ids": ["a"]}, LIMITS, NOW)
    assert plain.compute_rate(120) == LIMITS.per_second


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({}, "action must be retry or cancel"),
        ({"action": "purge", "ids": ["a"]}, "action must be retry or cancel"),
        ({"action": "retry"}, "give ids (a list), or a filter"),
        ({"action": "retry", "ids": ["a"], "filter": {}}, "give ids"),
        ({"action": "retry", "ids": []}, "at least one"),
        ({"action": "retry", "ids": [5]}, "a list of task ids"),
        ({"action": "retry", "ids": [["a"]]}, "a list of task ids"),
        ({"action": "retry", "ids": "a"}, "a list of task ids"),
        ({"action": "retry", "ids": ["a" * 600]}, "over 512 characters"),
        ({"action": "retry", "ids": list("abcd")}, "at most 3 tasks"),
        ({"action": "retry", "filter": []}, "filter must be an object"),
        ({"action": "retry", "filter": {"stat": "x"}}, "did you mean 'state'"),
        ({"action": "retry", "query": 5}, "query must be a text"),
        ({"action": "retry", "query": "stat:x"}, "unknown key 'stat'"),
        ({"action": "retry", "filter": {}, "after": 5}, "after must be an RFC 3339"),
        ({"action": "retry", "ids": ["a"], "colour": 1}, "unknown key 'colour'"),
        ({"action": "retry", "ids": ["a"], "per_second": 0}, "per_second must be"),
        ({"action": "retry", "ids": ["a"], "per_second": True}, "per_second must be"),
        ({"action": "retry", "ids": ["a"], "per_second": 9e9}, "from 0.01 to 1000"),
        ({"action": "retry", "ids": ["a"], "include_rerun": 1}, "true or false"),
        ({"action": "retry", "ids": ["a"], "expect": "3"}, "expect must be the number"),
        ({"action": "retry", "ids": ["a"], "expect": True}, "expect must be"),
        ({"action": "retry", "ids": ["a"], "queue": ""}, "queue must be a text"),
    ],
)
def test_a_wrong_request_gets_a_sentence(given: dict[str, object], part: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_request(given, LIMITS, NOW)
    assert part in str(refused.value)
