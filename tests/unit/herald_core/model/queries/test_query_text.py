"""What people write into the search box, and what it means."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.errors import InvalidQuery
from herald_core.model.filters import Filter
from herald_core.model.queries.query_text import (
    MAX_QUERY_CHARS,
    MAX_QUERY_WORDS,
    parse_query_text,
)
from herald_core.model.queries.task_query import Sort, TaskQuery
from herald_core.model.queries.text_term import TextTerm
from herald_core.model.queries.value_range import ValueRange

NOW = datetime(2026, 11, 30, 7, 30, tzinfo=UTC).timestamp()
FULL_ID = "1f0c3a52-aaaa-bbbb-cccc-1f0c3a52aaaa"


def at(hour: int, minute: int = 0, day: int = 30) -> float:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("order 12345", [TextTerm(("order",)), TextTerm(("12345",))]),
        ('"connection reset"', [TextTerm(("connection reset",))]),
        ('"failed"', [TextTerm(("failed",))]),
        ("8f2c1a90", [TextTerm(("8f2c1a90",))]),
        ("http://host:80/x", [TextTerm(("http://host:80/x",))]),
        ("ValueError:", [TextTerm(("ValueError:",))]),
        ("a=b", [TextTerm(("a=b",))]),
        ("Foo::bar", [TextTerm(("Foo::bar",))]),
        ('"user:42"', [TextTerm(("user:42",))]),
        ("id:8f2c,9a", [TextTerm(("8f2c", "9a"), "id")]),
        ("text:12345", [TextTerm(("12345",), "text")]),
        ("args:12345", [TextTerm(("12345",), "args")]),
        ("error:timeout", [TextTerm(("timeout",), "error")]),
        ("exception:a,b", [TextTerm(("a", "b"), "exception")]),
        ("kwargs.order_id:12345", [TextTerm(("12345",), "kwargs", ("order_id",))]),
        ("kwargs.Key=1", [TextTerm(("1",), "kwargs", ("Key",))]),
        ("args.0:7", [TextTerm(("7",), "args", ("0",))]),
        ('kwargs.to.city:"New York",B*', [
            TextTerm(("New York", "B*"), "kwargs", ("to", "city"))
        ]),
        ("a AND b", [TextTerm(("a",)), TextTerm(("b",))]),
        ('""', []),
    ],
)  # fmt: skip
def test_words_are_texts_that_all_must_be_there(
    text: str, terms: list[TextTerm]
) -> None:
    assert parse_query_text(text, NOW) == TaskQuery(terms=tuple(terms))


@pytest.mark.parametrize(
    ("text", "filter_"),
    [
        ("", {}),
        ("failed", {"state": ("FAILURE",)}),
        ("FAILURE", {"state": ("FAILURE",)}),
        ("running lost", {"state": ("STARTED", "LOST")}),
        ("state:fail", {"state": ("FAILURE",)}),
        ("state:failed,LOST", {"state": ("FAILURE", "LOST")}),
        ("status=success", {"state": ("SUCCESS",)}),
        ("reports.*", {"name": ("reports.*",)}),
        ("name:app.send", {"name": ("app.send",)}),
        (
            "name:billing",
            {"name": ("billing", "billing.*", "*.billing", "*.billing.*")},
        ),
        ('name:"billing"', {"name": ("billing",)}),
        ("worker:w01", {"worker": ("w01*", "*@w01*")}),
        ("worker:celery@w01", {"worker": ("celery@w01",)}),
        ("queue:a queue:b", {"queue": ("a", "b")}),
        ("tag:user:42", {"tag": ("user:42",)}),
        (f"id:{FULL_ID}", {"ids": (FULL_ID,)}),
        ('id:"short"', {"ids": ("short",)}),
    ],
)
def test_keys_of_the_filter_and_words_for_states(
    text: str, filter_: dict[str, Any]
) -> None:
    assert parse_query_text(text, NOW) == TaskQuery(filter=Filter(**filter_))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-state:SUCCESS", TaskQuery(excluded=(Filter(state=("SUCCESS",)),))),
        ("NOT failed", TaskQuery(excluded=(Filter(state=("FAILURE",)),))),
        ("-reports.*", TaskQuery(excluded=(Filter(name=("reports.*",)),))),
        ("-timeout", TaskQuery(excluded_terms=(TextTerm(("timeout",)),))),
        ('-"a b"', TaskQuery(excluded_terms=(TextTerm(("a b",)),))),
        ("-took:>1m", TaskQuery(excluded_ranges=(
            ValueRange("runtime", math.nextafter(60.0, math.inf)),))),
    ],
)  # fmt: skip
def test_minus_excludes(text: str, expected: TaskQuery) -> None:
    assert parse_query_text(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "range_"),
    [
        ("took:10s", ValueRange("runtime", 10.0)),
        ("took:>=1h30m", ValueRange("runtime", 5400.0)),
        ("runtime>10", ValueRange("runtime", math.nextafter(10.0, math.inf))),
        ("runtime<=250ms", ValueRange("runtime", None, 0.25)),
        ("wait:<1min", ValueRange("wait", None, math.nextafter(60.0, -math.inf))),
        ("took:1s..2s", ValueRange("runtime", 1.0, 2.0)),
        ("took:..2s", ValueRange("runtime", None, 2.0)),
        ("took:1s..", ValueRange("runtime", 1.0)),
        ("started:02:13..03:00", ValueRange("started", at(2, 13), at(3))),
        ("finished:10m", ValueRange("finished", NOW - 600)),
        ("sent:now", ValueRange("submitted", NOW)),
    ],
)
def test_ranges_of_durations_and_times(text: str, range_: ValueRange) -> None:
    assert parse_query_text(text, NOW) == TaskQuery(ranges=(range_,))


@pytest.mark.parametrize(
    ("text", "after", "before"),
    [
        ("last:10m", NOW - 600, None),
        ("since:02:00", at(2), None),
        ("since:08:00", at(8, day=29), None),
        ("since:02:00:30", at(2) + 30, None),
        ("since:yesterday until:today", at(0, day=29), at(0)),
        ("after:2026-11-29 before:2026-11-29T06:30:00Z", at(0, day=29), at(6, 30, 29)),
        ("since:2026-11-29T06:30+02:00", at(4, 30, 29), None),
        ("last:1h last:10m", NOW - 600, None),
        ("until:1h until:2h", None, NOW - 7200),
    ],
)
def test_range_of_the_arrival(
    text: str, after: float | None, before: float | None
) -> None:
    assert parse_query_text(text, NOW) == TaskQuery(after=after, before=before)


def test_times_without_an_offset_are_in_the_zone_of_the_caller() -> None:
    zone = timezone(timedelta(hours=2))
    assert parse_query_text("since:02:00", NOW, zone).after == at(0)
    assert parse_query_text("since:2026-11-30T02:00", NOW, zone).after == at(0)


def test_order() -> None:
    assert parse_query_text("sort:-runtime", NOW).sort == Sort("runtime")
    assert parse_query_text("sort:wait", NOW).sort == Sort("wait", descending=False)
    assert parse_query_text("", NOW).sort is None


@pytest.mark.parametrize(
    ("text", "position", "suggestion", "sentence"),
    [
        ("a stat:FAILURE", 2, "state:FAILURE", "did you mean state:FAILURE"),
        ("-stat:FAILURE", 0, "-state:FAILURE", "did you mean -state:FAILURE"),
        ("user:42", 0, '"user:42"', "write it in quotes"),
        ("state:LSOT", 6, "LOST", "did you mean LOST"),
        ("state:xyz", 6, "", "states are PENDING"),
        ("state:re", 6, "", "unknown state 're'"),
        ('a "b', 2, '"', "quote is not closed"),
        ("a OR b", 2, "", "OR at character 3"),
        ("took:abc", 0, "took:>10s", "a duration such as"),
        ("last:600", 0, "last:10m", "a time such as"),
        ("since:25:00", 0, "since:02:00", "a time such as"),
        ("since:2026-13-41", 0, "since:02:00", "a time such as"),
        ("last:", 0, "last:10m", "has no value"),
        ("name:", 0, "name:reports.*", "has no value"),
        ("queue:", 0, "queue:…", "has no value"),
        ("-last:10m", 0, "last:10m", "no -"),
        ("last:10m,20m", 0, "last:10m", "one time"),
        ("kwargs.:1", 0, "kwargs.order_id:12345", "empty key"),
        ("sort:name", 0, "sort:-runtime", "sort is one of"),
        ("a.* b.*", 4, "", "write both with a comma"),
        (f"queue:{'x' * 600}", 0, "", "over 512 characters"),
        ("x" * (MAX_QUERY_CHARS + 1), 0, "", "at most"),
        ("x " * (MAX_QUERY_WORDS + 1), 2 * MAX_QUERY_WORDS, "", "at most"),
    ],
)
def test_each_mistake_is_a_sentence_with_place_and_suggestion(
    text: str, position: int, suggestion: str, sentence: str
) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse_query_text(text, NOW)
    assert sentence in str(caught.value)
    assert (caught.value.position, caught.value.suggestion) == (position, suggestion)


@given(st.text(alphabet='ab:.,-"<>=*? \t1kwargsOR', max_size=40))
def test_any_text_is_a_query_or_a_mistake_within_it(text: str) -> None:
    try:
        query = parse_query_text(text, NOW)
    except InvalidQuery as error:
        query, position = None, error.position
    else:
        position = 0
    assert 0 <= position <= len(text)
    # A query can be stored, as a bulk order does.
    encoded = msgspec.json.encode(query)
    assert msgspec.json.decode(encoded, type=TaskQuery | None) == query
