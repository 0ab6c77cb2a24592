"""One filter for every door: what it matches, and how it refuses."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.errors import InvalidFilter
from herald_core.model.filters import (
    KEYS,
    MAX_LENGTH,
    MAX_VALUES,
    Filter,
    PreviousValues,
    parse_filter,
)
from herald_core.model.patterns import (
    MAX_CACHED_VERDICTS,
    PatternSet,
    compile_glob,
    is_glob,
)
from herald_core.model.tasks.views import TaskView

TASK = TaskView(
    id="t1",
    name="reports.daily",
    state="STARTED",
    worker="w1@h",
    queue="mail",
    root_id="r1",
    parent_id="p1",
    group_id="g1",
    tags=("blue", "green"),
    failure="0a1b2c3d4e5f",
)


@pytest.mark.parametrize(
    ("given_", "matches"),
    [
        ({}, True),
        ({"ids": "t1"}, True),
        ({"ids": ["t0", "t1"]}, True),
        ({"ids": "t2"}, False),
        ({"name": "reports.*"}, True),
        ({"name": "reports.daily"}, True),
        ({"name": "*"}, True),
        ({"name": "report?.daily"}, True),
        ({"name": "reports"}, False),
        ({"name": ["x", "*.daily"]}, True),
        ({"state": "started"}, True),
        ({"state": ["SUCCESS", "Failure"]}, False),
        ({"worker": "w1@*"}, True),
        ({"worker": "w2@*"}, False),
        ({"queue": "mail"}, True),
        ({"root": "r1"}, True),
        ({"root": "t1"}, False),
        ({"parent": "p1"}, True),
        ({"parent": "p2"}, False),
        ({"group": ["g1", "g2"]}, True),
        ({"group": "g2"}, False),
        ({"tag": "green"}, True),
        ({"tag": "red"}, False),
        ({"failure": ["0a1b2c3d4e5f", "x"]}, True),
        ({"failure": "x"}, False),
        ({"name": "reports.*", "state": "STARTED"}, True),
        ({"name": "reports.*", "state": "SUCCESS"}, False),
        ({"name": None}, True),
    ],
)
def test_matching(given_: dict[str, object], matches: bool) -> None:
    assert parse_filter(given_).matches(TASK) is matches


@pytest.mark.parametrize("key", ["name", "worker", "queue", "parent", "group", "tag"])
def test_what_a_task_does_not_have_matches_nothing(key: str) -> None:
    assert not parse_filter({key: "*"}).matches(TaskView(id="t1", state="PENDING"))


def test_a_task_is_its_own_root() -> None:
    assert parse_filter({"root": "t1"}).matches(TaskView(id="t1"))


def test_a_task_that_left_the_filter_was_matched_before() -> None:
    started = parse_filter({"state": "STARTED", "worker": "w1@h", "queue": "mail"})
    after = TaskView(id="t1", state="SUCCESS", worker="w1@h", queue="mail")
    assert not started.matches(after)
    assert started.matches(after, PreviousValues("STARTED", "w1@h", "mail"))
    assert not started.matches(after, PreviousValues("RECEIVED", "w1@h", "mail"))
    assert not parse_filter({"ids": "t2"}).matches(after, PreviousValues("STARTED"))


@pytest.mark.parametrize(
    ("given_", "sentence", "param"),
    [
        ({"nmae": "x"}, "unknown key 'nmae'; did you mean 'name'?", "nmae"),
        ({"zzz": "x"}, "unknown key 'zzz'; keys are ids, name, state, ", "zzz"),
        (
            {"state": "SUCESS"},
            "unknown state 'SUCESS'; did you mean 'SUCCESS'?",
            "state",
        ),
        (
            {"state": "qqq"},
            "unknown state 'qqq'; states are PENDING, RECEIVED",
            "state",
        ),
        ({"name": []}, "name is an empty list and would match nothing", "name"),
        ({"name": ""}, "name takes a text or a list of texts, not ''", "name"),
        ({"name": 5}, "name takes a text or a list of texts, not 5", "name"),
        (
            {"name": [["x"]]},
            r"name takes a text or a list of texts, not \['x'\]",
            "name",
        ),
        ({"ids": "x" * (MAX_LENGTH + 1)}, "a value of ids is over 512 char", "ids"),
        ({"ids": ["x"] * (MAX_VALUES + 1)}, "ids takes at most 1000 values", "ids"),
        (
            {"worker": [f"*{n:0100}" for n in range(50)]},
            "the values of worker with wildcards are over 1024 characters",
            "worker",
        ),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(
    given_: dict[str, object], sentence: str, param: str
) -> None:
    with pytest.raises(InvalidFilter, match=sentence) as refused:
        parse_filter(given_)
    assert refused.value.param == param


def test_values_are_kept_once_and_in_order() -> None:
    assert parse_filter({"ids": ["b", "a", "b"]}) == Filter(ids=("b", "a"))
    assert parse_filter({"ids": ("b",)}) == Filter(ids=("b",))


def test_every_key_is_known() -> None:
    assert set(KEYS) == {
        "ids",
        "name",
        "state",
        "worker",
        "queue",
        "root",
        "parent",
        "group",
        "tag",
        "failure",
    }


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("a*b*c", "aXbYbZc", True),
        ("a*b*c", "aXbYbZ", False),
        ("*", "", True),
        ("?", "", False),
        ("a.c", "abc", False),
        ("[a]", "[a]", True),
        ("*\n*", "a\nb", True),
        ("**a**", "bab", True),
        ("ab*ba", "aba", False),
        ("*ab*ab", "abab", True),
        ("*a?", "aab", True),
    ],
)
def test_globs(pattern: str, value: str, matches: bool) -> None:
    assert compile_glob(pattern)(value) is matches
    assert is_glob(pattern) == any(c in pattern for c in "*?")


def slow_glob(pattern: str, value: str) -> bool:
    """Say the same, as it is defined."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(slow_glob(pattern[1:], value[i:]) for i in range(len(value) + 1))
    return (
        bool(value)
        and pattern[0] in ("?", value[0])
        and slow_glob(pattern[1:], value[1:])
    )


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_globs_are_what_they_are_defined_to_be(pattern: str, value: str) -> None:
    assert compile_glob(pattern)(value) == slow_glob(pattern, value)


@pytest.mark.parametrize(
    "pattern", ["*a" * 250, "*" * 500 + "b", "a*" * 200 + "b", "*?" * 250]
)
def test_globs_with_many_stars_are_fast(pattern: str) -> None:
    test = compile_glob(pattern)
    begun = time.process_time()
    test("a" * 512)
    assert time.process_time() - begun < 0.25


def test_a_filter_can_be_written_down_and_read_again() -> None:
    told: dict[str, Any] = {"name": ["a.*"], "state": ["SUCCESS"]}
    assert parse_filter(told) == Filter(name=("a.*",), state=("SUCCESS",))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("ab*?|(", max_size=6), max_size=5), st.text("ab|(", max_size=6))
def test_a_set_of_patterns_is_any_of_them(patterns: list[str], value: str) -> None:
    whole = PatternSet(patterns)
    expected = any(compile_glob(pattern)(value) for pattern in patterns)
    assert [whole.matches(value) for _ in range(2)] == [expected, expected]
    assert whole.is_match(value) is expected
    assert not whole.matches(None)


def test_what_a_set_of_patterns_remembers_is_bounded() -> None:
    whole = PatternSet(["a*"])
    for number in range(MAX_CACHED_VERDICTS * 2):
        assert whole.matches(f"a{number}")
    assert len(whole._verdicts) <= MAX_CACHED_VERDICTS  # pyright: ignore[reportPrivateUsage]


def test_many_exact_values_need_no_room_for_wildcards() -> None:
    names = [f"{n:0100}" for n in range(1_000)]
    assert parse_filter({"name": names}).matches(TaskView(id="t", name=names[-1]))


def test_a_filter_with_an_empty_list_matches_nothing() -> None:
    assert Filter(ids=()).is_empty
    assert Filter(also=Filter(ids=())).is_empty
    assert not Filter(ids=("a",)).is_empty
